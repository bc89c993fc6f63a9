//! Who listens on an address of this machine, from `/proc/net/tcp` and the open files of processes.
//!
//! What may not be read (another user's processes) is said to be unknown, never absent.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::identity::{Stat, all_processes, command_line};

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// The process that opened it, where that may be known.
    pub(crate) pid: Option<u32>,
}

impl Listener {
    /// For people: `pid 12 (nginx -c ...)`.
    pub(crate) fn describe(&self) -> String {
        match self.pid {
            Some(pid) => format!("pid {pid} ({})", super::log::mask(&command_line(pid))),
            None => "a process of another user".to_owned(),
        }
    }
}

/// Who would answer a connection to `address` on this machine.
pub(crate) fn who_listens(address: SocketAddr) -> Option<Listener> {
    let inodes: BTreeSet<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| File::open(table).ok())
        .flat_map(|table| listening(BufReader::new(table)))
        .filter(|(listens, _)| covers(*listens, address))
        .map(|(_, inode)| inode)
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let holders: Vec<Stat> = all_processes()
        .into_iter()
        .filter(|stat| stat.is_alive() && holds_socket(stat.pid, &inodes))
        .collect();
    // Workers inherit the socket: the one whose parent does not hold it opened it.
    let opener = holders
        .iter()
        .find(|stat| !holders.iter().any(|other| other.pid == stat.parent));
    Some(Listener {
        pid: opener.map(|stat| stat.pid),
    })
}

fn holds_socket(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files.filter_map(Result::ok).any(|file| {
        let target = std::fs::read_link(file.path()).unwrap_or_default();
        let inode = target.to_str().and_then(|text| {
            text.strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        });
        inode.is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

/// Whether a socket on `listens` takes connections to `address`. A wildcard of IPv6 usually takes
/// those of IPv4 too.
fn covers(listens: SocketAddr, address: SocketAddr) -> bool {
    let ip = match listens.ip() {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    let any = ip.is_unspecified() && (ip.is_ipv6() || address.is_ipv4());
    listens.port() == address.port() && (ip == address.ip() || any || address.ip().is_unspecified())
}

/// The sockets of a table that listen. The kernel lists those first
/// (Documentation/networking/proc_net_tcp), so the rest, which is long on a busy host, is not read.
fn listening(table: impl BufRead) -> Vec<(SocketAddr, u64)> {
    let lines = table.lines().skip(1).map_while(Result::ok);
    lines
        .take_while(|line| line.split_ascii_whitespace().nth(3) == Some(LISTEN))
        .filter_map(|line| parse_line(&line))
        .collect()
}

const LISTEN: &str = "0A";

/// The address and inode of a line about a socket that listens.
fn parse_line(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (ip, port) = fields.nth(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let inode = fields.nth(7)?.parse().ok()?;
    Some((SocketAddr::new(parse_ip(ip)?, port), inode))
}

/// Words of 32 bits in the machine's own byte order.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        u32::from_str_radix(text.get(index * 8..index * 8 + 8)?, 16)
            .ok()
            .map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => word(0).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_finds_oneself_listening() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(
            who_listens(address).and_then(|found| found.pid),
            Some(std::process::id())
        );
        drop(socket);
        // A child that another test has forked and that is not executed yet holds it for a moment longer.
        let is_free = |_| {
            std::thread::yield_now();
            who_listens(address).is_none()
        };
        assert!((0..100_000).any(is_free));
    }

    #[test]
    fn wildcards_cover_and_other_addresses_do_not() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(covers(parse("0.0.0.0:80"), parse("127.0.0.1:80")));
        assert!(covers(parse("[::]:80"), parse("127.0.0.1:80")));
        assert!(covers(
            parse("[::ffff:127.0.0.1]:80"),
            parse("127.0.0.1:80")
        ));
        assert!(!covers(parse("0.0.0.0:80"), parse("[::1]:80")));
        assert!(!covers(parse("127.0.0.2:80"), parse("127.0.0.1:80")));
        assert!(!covers(parse("127.0.0.1:81"), parse("127.0.0.1:80")));
    }

    #[test]
    fn only_the_sockets_that_listen_are_read() {
        let table = "  sl  local_address rem_address   st ...\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n\
             1: 0100007F:1F91 0100007F:9999 06 00000000:00000000 03:00000000 00000000 0 0 0 3\n\
             2: 0100007F:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 78 1\n";
        let found = listening(table.as_bytes());
        assert_eq!(found, [("127.0.0.1:8080".parse().unwrap(), 77)]);
    }

    #[test]
    fn lines_of_other_forms_are_passed_over() {
        for line in [
            "",
            "x",
            "0: 0100007F:1F90 00000000:0000 0A",
            "0: zz:1F90 0:0 0A 0 0 0 0 0 1",
        ] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }
}
