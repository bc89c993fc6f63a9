//! Reading real trees in temporary directories.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use evenkeel_testing::{Place, as_nobody};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;

/// Far enough ahead of the files' change times that every reading is settled.
const LATER: Timestamp = Timestamp::from_millis(4_000_000_000_000);

/// Self-signed, of a throw-away key.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgjCCASmgAwIBAgIUeD72Zxq0YJyCvmuHWO9fcLgPFtAwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLZXhhbXBsZS5vcmcwIBcNMjYxMTI0MjMxODAxWhgPMjEyNjEw
MzEyMzE4MDFaMBYxFDASBgNVBAMMC2V4YW1wbGUub3JnMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEiat+qab4CEDyF+GAxYqhhcaHkF1AhzvlxvtYLAYMYWOW5w3H
4KWbUDnEdfYAx8Rdbo3xgP+MRwhdXdS84R87M6NTMFEwHQYDVR0OBBYEFAslwO3m
FTi65U9eMVhUFpMmo+uXMB8GA1UdIwQYMBaAFAslwO3mFTi65U9eMVhUFpMmo+uX
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgc7GLT9axe3CpsfA5
lqz7AjoxojWXlvA3y/NRMzPTssUCIA4gVQzY7jb722IEAjsJqA25Z3F2FJC4NmuC
no740+oh
-----END CERTIFICATE-----
";
const NOT_AFTER: &str = "2126-10-31T23:18:01.000Z";

fn tree(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn read(directory: &TempDir) -> TreeReading {
    read_tree(directory.path(), &TreeOptions::default(), LATER).unwrap()
}

fn value<'a>(reading: &'a TreeReading, path: &str) -> &'a Value {
    let found = reading.leaves.get(&PropertyPath::from(path));
    &found
        .unwrap_or_else(|| panic!("no {path} in {:?}", reading.leaves.keys()))
        .value
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

#[test]
fn a_tree_is_read_with_paths_places_and_totals() {
    let directory = tree(&[
        ("nginx.conf", "events {\n  worker_connections 512;\n}\n"),
        (
            "conf.d/site.conf",
            "server {\n listen 80;\n server_name a.org;\n}\n",
        ),
        ("app.toml", "[pool]\nmax = 7\n"),
        (".git/config", "[core]\n"),
    ]);
    let reading = read(&directory);
    assert_eq!(*value(&reading, "app.toml/pool/max"), Value::Number(7.0));
    assert_eq!(
        *value(&reading, "conf.d/site.conf/server[a.org]/listen"),
        Value::Number(80.0)
    );
    let path = PropertyPath::from("nginx.conf/events/worker_connections");
    assert_eq!(
        reading.leaves[&path].place.as_ref().unwrap().to_string(),
        "nginx.conf:2"
    );
    assert_eq!(*value(&reading, "@tree/files"), Value::Number(3.0));
    assert_eq!(*value(&reading, "@tree/bytes"), Value::Number(95.0));
    assert!(reading.unreadable.is_empty() && reading.notes.is_empty());
    assert_eq!(reading.leaves.len(), 6, "{:?}", reading.leaves.keys());
}

#[test]
fn what_no_grammar_takes_is_kept_whole_and_noted() {
    let directory = tree(&[("a.json", "{\n\"a\": }"), ("empty.toml", "# c\n")]);
    fs::write(directory.path().join("b.bin"), [0xff, 0, 1]).unwrap();
    let reading = read(&directory);
    assert_eq!(*value(&reading, "a.json"), text("{\n\"a\": }"));
    assert!(
        reading.notes[0].starts_with("a.json is kept whole: line 2: "),
        "{:?}",
        reading.notes
    );
    assert_eq!(
        *value(&reading, "empty.toml"),
        Value::Document(BTreeMap::new())
    );
    let digest = value(&reading, "b.bin").to_string();
    assert!(
        digest.starts_with("blake3:") && digest.ends_with(" 3 B"),
        "{digest}"
    );
}

#[test]
fn links_fifos_and_odd_names_are_named_and_lead_nowhere() {
    let directory = tree(&[("real/x.toml", "a = 1\n")]);
    let at = |name: &str| directory.path().join(name);
    symlink("real/x.toml", at("inside.toml")).unwrap();
    symlink("/etc/hostname", at("outside")).unwrap();
    symlink("loop", at("loop")).unwrap();
    symlink("..", at("real/up")).unwrap();
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::write(
        directory.path().join(OsStr::from_bytes(b"n\xff.toml")),
        "b = 2\n",
    )
    .unwrap();
    let reading = read(&directory);
    assert_eq!(*value(&reading, "inside.toml/a"), Value::Number(1.0));
    assert_eq!(*value(&reading, "outside"), text("-> /etc/hostname"));
    assert_eq!(*value(&reading, "loop"), text("-> loop"));
    assert_eq!(*value(&reading, "real/up"), text("-> .."));
    assert_eq!(*value(&reading, "pipe"), Value::Choice("fifo".into()));
    assert_eq!(*value(&reading, "n%FF.toml/b"), Value::Number(2.0));
    assert!(reading.unreadable.is_empty(), "{reading:?}");
}

#[test]
fn huge_files_are_told_by_their_size_and_large_ones_by_digest_too() {
    let directory = tree(&[]);
    let sized = |name: &str, bytes| {
        File::create(directory.path().join(name))
            .unwrap()
            .set_len(bytes)
            .unwrap();
    };
    sized("huge", 2 << 30);
    sized("large", 5 << 20);
    let reading = read(&directory);
    assert_eq!(
        *value(&reading, "huge/@bytes"),
        Value::Number(2_147_483_648.0)
    );
    assert!(!reading.leaves.contains_key(&PropertyPath::from("huge")));
    assert_eq!(*value(&reading, "large/@bytes"), Value::Number(5_242_880.0));
    assert!(
        value(&reading, "large")
            .to_string()
            .ends_with(" 5,242,880 B")
    );
}

#[test]
fn tables_are_counted_and_told_by_digest_when_too_long() {
    let long: String = (0..3000).map(|n| format!("k{n} = {n}\n")).collect();
    let short: String = (0..100).map(|n| format!("k{n} = {n}\n")).collect();
    let directory = tree(&[("long.properties", &long), ("short.properties", &short)]);
    let reading = read(&directory);
    assert_eq!(
        *value(&reading, "long.properties/@entries"),
        Value::Number(3000.0)
    );
    assert_eq!(
        *value(&reading, "long.properties/@bytes"),
        Value::Number(long.len() as f64)
    );
    assert!(
        value(&reading, "long.properties")
            .to_string()
            .starts_with("blake3:")
    );
    assert_eq!(
        *value(&reading, "short.properties/@entries"),
        Value::Number(100.0)
    );
    assert_eq!(
        *value(&reading, "short.properties/k99"),
        Value::Number(99.0)
    );
}

#[test]
fn secrets_are_listed_and_secret_files_never_become_text() {
    let key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
    let directory = tree(&[
        (
            "app.toml",
            "password = \"hunter2\"\nurl = \"pg://u:hunter2@h/d\"\nmax = 1\n",
        ),
        ("tls/site.key", key),
        ("tls/both.pem", key),
        ("broken.toml", "= \npassword = hunter2\n"),
        ("sshd_config", "PasswordAuthentication yes\n"),
    ]);
    let reading = read(&directory);
    let secret: Vec<&str> = reading.secret.iter().map(PropertyPath::as_str).collect();
    let expected = [
        "app.toml/password",
        "app.toml/url",
        "broken.toml",
        "tls/both.pem",
        "tls/site.key",
    ];
    assert_eq!(secret, expected);
    for path in ["broken.toml", "tls/both.pem", "tls/site.key"] {
        assert!(
            value(&reading, path).to_string().starts_with("blake3:"),
            "{path}"
        );
    }
    assert!(!format!("{reading:?}").contains("hunter2"));
}

#[test]
fn unchanged_files_are_not_read_again_and_changed_ones_are() {
    let directory = tree(&[("a.toml", "a = 1\n"), ("b.toml", "b = 1\n")]);
    let mut reader = TreeReader::new(TreeOptions::default()).unwrap();
    assert_eq!(reader.read(directory.path(), LATER).files_read, 2);
    let again = reader.read(directory.path(), LATER);
    assert_eq!((again.files_read, again.leaves.len()), (0, 4));
    fs::write(directory.path().join("a.toml"), "a = 22\n").unwrap();
    let changed = reader.read(directory.path(), LATER);
    assert_eq!(changed.files_read, 1);
    assert_eq!(*value(&changed, "a.toml/a"), Value::Number(22.0));
    fs::remove_file(directory.path().join("b.toml")).unwrap();
    assert!(
        !reader
            .read(directory.path(), LATER)
            .leaves
            .contains_key(&"b.toml/b".into())
    );
}

#[test]
fn a_file_that_has_just_changed_is_read_again() {
    let directory = tree(&[("a.toml", "a = 1\n")]);
    let changed = fs::metadata(directory.path().join("a.toml")).unwrap();
    let changed = Identity::of(&changed).changed();
    let mut reader = TreeReader::new(TreeOptions::default()).unwrap();
    for at in [
        changed,
        changed + Duration::from_millis(1999),
        changed + SETTLING,
    ] {
        assert_eq!(reader.read(directory.path(), at).files_read, 1);
    }
    assert_eq!(reader.read(directory.path(), LATER).files_read, 0);
}

#[test]
fn days_to_expiry_go_down_while_the_file_is_not_read_again() {
    let directory = tree(&[("tls/site.pem", CERTIFICATE)]);
    let mut reader = TreeReader::new(TreeOptions::default()).unwrap();
    let mut days = |at| {
        let reading = reader.read(directory.path(), at);
        (
            value(&reading, "tls/site.pem/@days_to_expiry")
                .as_number()
                .unwrap(),
            reading.files_read,
        )
    };
    let (first, read_first) = days(LATER);
    let (second, read_second) = days(LATER + Duration::from_secs(86_400));
    assert_eq!((read_first, read_second), (1, 0));
    assert!((first - second - 1.0).abs() < 1e-6, "{first} {second}");
    let until = LATER + Duration::from_secs_f64((first * 86_400.0).round());
    assert_eq!(until.to_string(), NOT_AFTER);
}

#[test]
fn a_certificate_in_der_and_a_broken_one_are_told_apart() {
    let directory = tree(&[("broken.pem", &CERTIFICATE.replace("MII", "MIA"))]);
    let pem = x509_parser::pem::Pem::iter_from_buffer(CERTIFICATE.as_bytes()).next();
    fs::write(
        directory.path().join("site.der"),
        pem.unwrap().unwrap().contents,
    )
    .unwrap();
    let reading = read(&directory);
    assert!(
        value(&reading, "site.der/@days_to_expiry")
            .as_number()
            .unwrap()
            > 0.0
    );
    assert!(
        !reading
            .leaves
            .contains_key(&"broken.pem/@days_to_expiry".into())
    );
    assert_eq!(
        reading.leaves[&"site.der/@days_to_expiry".into()]
            .unit
            .as_deref(),
        Some("d")
    );
}

#[test]
fn a_root_that_is_missing_covers_everything_and_a_file_is_a_tree_of_one() {
    let directory = tree(&[("app.toml", "a = 1\n")]);
    let options = TreeOptions::default();
    let missing = read_tree(&directory.path().join("none"), &options, LATER).unwrap();
    assert!(missing.leaves.is_empty() && missing.unreadable.contains_key(&"".into()));
    let one = read_tree(&directory.path().join("app.toml"), &options, LATER).unwrap();
    assert_eq!(*value(&one, "app.toml/a"), Value::Number(1.0));
}

#[test]
fn a_tree_of_too_many_files_is_unknown_where_it_was_not_reached() {
    let directory = tree(&[("a.toml", "a = 1\n"), ("b.toml", "b = 1\n")]);
    let options = TreeOptions {
        max_files: 1,
        ..TreeOptions::default()
    };
    let reading = read_tree(directory.path(), &options, LATER).unwrap();
    assert!(
        reading.unreadable[&"".into()].contains("more than 1 files"),
        "{reading:?}"
    );
}

#[test]
fn a_file_without_permission_is_unreadable_and_the_totals_are_unknown() {
    let name = "a_file_without_permission_is_unreadable_and_the_totals_are_unknown";
    if as_nobody(module_path!(), name) == Place::Elsewhere {
        return;
    }
    let directory = tree(&[("a.toml", "a = 1\n"), ("b.toml", "b = 1\n")]);
    let closed = directory.path().join("a.toml");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let reading = read(&directory);
    assert!(
        reading.unreadable[&"a.toml".into()].contains("ermission"),
        "{reading:?}"
    );
    assert!(!reading.leaves.contains_key(&"@tree/files".into()));
    assert_eq!(*value(&reading, "b.toml/b"), Value::Number(1.0));
}
