//! What nginx configuration reads as.

use super::super::testing::{check, check_failure};
use crate::tree::Format::Nginx;

#[test]
fn blocks_units_and_repetitions_are_read_with_their_lines() {
    check(
        Nginx,
        "events { worker_connections 1024; }\nhttp {\n  keepalive_timeout 65; # c\n  client_max_body_size 10m;\n  proxy_read_timeout 5m;\n  log_format main '$a \"$b\"'\n    '$c';\n  server {\n    listen 80;\n    listen [::]:80;\n    server_name example.org www.example.org;\n    location ~ \\.php$ {\n      proxy_set_header Host $host;\n      internal;\n    }\n  }\n}\n",
        &[
            "1 events/worker_connections = Number(1024.0)",
            "3 http/keepalive_timeout = Number(65.0) s",
            "4 http/client_max_body_size = Number(10485760.0) B",
            "5 http/proxy_read_timeout = Number(300.0) s",
            "6 http/log_format[main] = Text(\"$a \\\"$b\\\" $c\")",
            "9 http/server[example.org]/listen = Number(80.0)",
            "10 http/server[example.org]/listen#2 = Text(\"[::]:80\")",
            "11 http/server[example.org]/server_name = Set({\"example.org\", \"www.example.org\"})",
            "13 http/server[example.org]/location[~ \\.php$]/proxy_set_header[Host] = Text(\"$host\")",
            "14 http/server[example.org]/location[~ \\.php$]/internal = Flag(true)",
        ],
    );
}

#[test]
fn upstreams_maps_and_error_pages_are_read() {
    check(
        Nginx,
        "upstream app {\n  server 10.0.0.1:80 weight=5 fail_timeout=10s backup;\n  server b:80;\n}\nmap $a $b {\n  default 0;\n  set yes;\n}\nerror_page 500 502 /50x.html;\nserver { listen 81; }\nserver { listen 81; }\n",
        &[
            "2 upstream[app]/server[10.0.0.1:80]/weight = Number(5.0)",
            "2 upstream[app]/server[10.0.0.1:80]/fail_timeout = Number(10.0) s",
            "2 upstream[app]/server[10.0.0.1:80]/backup = Flag(true)",
            "3 upstream[app]/server[b:80] = Flag(true)",
            "6 map[$a $b]/default = Number(0.0)",
            "7 map[$a $b]/set = Flag(true)",
            "9 error_page[500 502] = Text(\"/50x.html\")",
            "10 server[81]/listen = Number(81.0)",
            "11 server[81]#2/listen = Number(81.0)",
        ],
    );
}

#[test]
fn braces_in_quotes_variables_and_lua_are_no_blocks() {
    check(
        Nginx,
        "return 200 \"a { b\";\nset $x ${y}z;\ncontent_by_lua_block {\n  if a then say(\"}\") end local t = { 1 }\n}\n",
        &[
            "1 return = Text(\"200 a { b\")",
            "2 set[$x] = Text(\"${y}z\")",
            "3 content_by_lua_block = Text(\"if a then say(\\\"}\\\") end local t = { 1 }\")",
        ],
    );
}

#[test]
fn failures_name_the_line() {
    check_failure(
        Nginx,
        "a 1;\nhttp {\n",
        "line 2: the block `http` has no closing `}`",
    );
    check_failure(Nginx, "a 1;\nb 2\n", "line 2: a directive without its `;`");
    check_failure(Nginx, "a 1;\n}\n", "line 2: a `}` without its `{`");
    check_failure(Nginx, "a 'b\n", "line 1: a quote without its end");
    check_failure(Nginx, &"a {".repeat(5000), "nested deeper than 100 levels");
}
