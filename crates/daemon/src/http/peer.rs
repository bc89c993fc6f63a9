//! Who is at the other end of a connection, as the kernel says.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

/// Where names of users are looked up. Users from elsewhere (LDAP, systemd-homed) go by number.
const PASSWD: &str = "/etc/passwd";

/// Whoever connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The user id; `None` if the kernel would not say.
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self {
            uid: stream
                .io()
                .peer_cred()
                .ok()
                .map(|credentials| credentials.uid()),
        }
    }
}

impl Peer {
    /// The name for the record: `alice`, or `uid 1000` where that has no name.
    pub(super) fn name(self) -> String {
        let Some(uid) = self.uid else {
            return "an unknown user".to_owned();
        };
        let users = std::fs::read_to_string(PASSWD).unwrap_or_default();
        user_name(&users, uid).map_or_else(|| format!("uid {uid}"), str::to_owned)
    }
}

/// The name of a user in the text of `/etc/passwd`: lines of `name:password:uid:...`.
fn user_name(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number_and_broken_lines_are_passed_over() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\n# none\n+::::::\nbad:x:no:1\nalice:x:1000:1000::/:/bin/sh";
        assert_eq!(user_name(users, 0), Some("root"));
        assert_eq!(user_name(users, 1000), Some("alice"));
        assert_eq!(user_name(users, 1001), None);
    }
}
