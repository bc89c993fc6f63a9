//! The audit log: each line carries a hash over its number, its text and the hash before, and the
//! number and hash of the last one are kept apart, changed in the same transaction. So an alteration,
//! a removal in the middle, a removal at the end and an exchange are all seen by [`verify`].
//!
//! What the chain cannot show: that somebody with write access to the file rebuilt all of it. Noting
//! the head's hash elsewhere shows that.

use evenkeel_ports::{AuditEntry, AuditRecord, AuditVerdict};
use rusqlite::{Connection, OptionalExtension, params};

use super::{decode, encode, from_sql, to_sql};
use crate::fault::Fault;
use crate::record::{self, Stored};

/// What the first line has instead of the hash before.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The last line's number and hash.
struct Head {
    number: u64,
    hash: String,
}

/// Adds one line.
pub(super) fn append(connection: &Connection, entry: &AuditEntry) -> Result<(), Fault> {
    let before = head(connection)?;
    let number = before.number + 1;
    let text = encode(entry)?;
    let hash = chain(number, &text, &before.hash)?;
    connection
        .prepare_cached("INSERT INTO audit(number, body, hash) VALUES (?1, ?2, ?3)")?
        .execute(params![to_sql(number), text, hash])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta(key, value) VALUES ('audit_head', ?1)")?
        .execute([format!("{number} {hash}")])?;
    Ok(())
}

/// Lines after number `after`.
pub(super) fn read(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<AuditRecord>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT number, body, hash FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = statement.query_map([after, limit], |row| <(i64, String, String)>::try_from(row))?;
    rows.map(|row| {
        let (number, body, hash) = row?;
        Ok(AuditRecord {
            number: from_sql(number),
            entry: decode(&body, || format!("table audit, row {number}"))?,
            hash,
        })
    })
    .collect()
}

/// Follows the whole chain, one line in memory at a time.
pub(super) fn verify(connection: &Connection) -> Result<AuditVerdict, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT number, body, hash FROM audit ORDER BY number")?;
    let mut rows = statement.query([])?;
    let mut last = Head {
        number: 0,
        hash: GENESIS.to_owned(),
    };
    while let Some(row) = rows.next()? {
        let (found, body, hash) = <(i64, String, String)>::try_from(row)?;
        let number = last.number + 1;
        if from_sql(found) != number {
            return Ok(broken(number, "it is missing".to_owned()));
        }
        if chain(number, &body, &last.hash).ok().as_ref() != Some(&hash) {
            let what = "its hash does not follow from its text and the record before";
            return Ok(broken(number, what.to_owned()));
        }
        last = Head { number, hash };
    }
    let Ok(noted) = head(connection) else {
        let what = "the note of the last record's number and hash cannot be read";
        return Ok(broken(last.number, what.to_owned()));
    };
    if noted.number > last.number {
        let what = format!("it and all up to {} are missing", noted.number);
        return Ok(broken(last.number + 1, what));
    }
    if noted.number < last.number || noted.hash != last.hash {
        let what = format!(
            "the last record on note is {}: what follows was added from outside",
            noted.number
        );
        return Ok(broken((noted.number + 1).min(last.number), what));
    }
    Ok(AuditVerdict::Intact {
        records: last.number,
        head: last.hash,
    })
}

fn broken(number: u64, what: String) -> AuditVerdict {
    AuditVerdict::Broken { number, what }
}

fn head(connection: &Connection) -> Result<Head, Fault> {
    let noted: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'audit_head'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(noted) = noted else {
        return Ok(Head {
            number: 0,
            hash: GENESIS.to_owned(),
        });
    };
    let parse = || {
        let (number, hash) = noted.split_once(' ')?;
        Some(Head {
            number: number.parse().ok()?,
            hash: hash.to_owned(),
        })
    };
    parse().ok_or_else(|| Fault::Damaged {
        row: "table meta, row audit_head".to_owned(),
        what: format!("`{noted}` is not a number and a hash"),
    })
}

/// The hash of a line: BLAKE3 over its number (8 bytes, big-endian), the JSON of its entry exactly as
/// stored, and the hash before (64 hexadecimal digits). Number and hash have a fixed length, so no two
/// lines hash the same bytes.
fn chain(number: u64, text: &str, before: &str) -> Result<String, Fault> {
    let damaged = |what: String| Fault::Damaged {
        row: format!("table audit, row {number}"),
        what,
    };
    let (version, entry) =
        record::unwrap_envelope(text).map_err(|error| damaged(error.to_string()))?;
    if !(1..=AuditEntry::VERSION).contains(&version) {
        return Err(damaged(format!("its form is version {version}")));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.update(entry.as_bytes());
    hasher.update(before.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use evenkeel_core::Timestamp;

    use super::*;

    fn log() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(super::super::MIGRATIONS[0])
            .unwrap();
        for number in 1..=5 {
            let entry = AuditEntry {
                at: Timestamp::from_millis(number),
                actor: "uid 1000".into(),
                action: "baseline.accept".into(),
                resource: Some("web".into()),
                result: Ok(()),
                before: None,
                after: Some(format!("v{number}")),
            };
            append(&connection, &entry).unwrap();
        }
        connection
    }

    fn broken_at(tampering: &str) -> u64 {
        let connection = log();
        connection.execute_batch(tampering).unwrap();
        match verify(&connection).unwrap() {
            AuditVerdict::Broken { number, .. } => number,
            AuditVerdict::Intact { .. } => panic!("not seen: {tampering}"),
        }
    }

    #[test]
    fn an_untouched_log_is_intact() {
        let verdict = verify(&log()).unwrap();
        assert!(matches!(verdict, AuditVerdict::Intact { records: 5, .. }));
        let empty = Connection::open_in_memory().unwrap();
        empty.execute_batch(super::super::MIGRATIONS[0]).unwrap();
        let verdict = verify(&empty).unwrap();
        assert!(matches!(verdict, AuditVerdict::Intact { records: 0, .. }));
    }

    #[test]
    fn an_alteration_is_seen() {
        let altered = "UPDATE audit SET body = replace(body, 'uid 1000', 'uid 0') WHERE number = 3";
        assert_eq!(broken_at(altered), 3);
        assert_eq!(broken_at("UPDATE audit SET body = '' WHERE number = 2"), 2);
        assert_eq!(broken_at("UPDATE audit SET hash = 'x' WHERE number = 5"), 5);
        let version =
            "UPDATE audit SET body = replace(body, '\"v\":1', '\"v\":2') WHERE number = 4";
        assert_eq!(broken_at(version), 4);
    }

    #[test]
    fn a_removal_in_the_middle_is_seen() {
        assert_eq!(broken_at("DELETE FROM audit WHERE number = 3"), 3);
        let closed_up = "DELETE FROM audit WHERE number = 3;
            UPDATE audit SET number = 3 WHERE number = 4;
            UPDATE audit SET number = 4 WHERE number = 5;";
        assert_eq!(broken_at(closed_up), 3);
    }

    #[test]
    fn a_removal_at_the_end_is_seen() {
        assert_eq!(broken_at("DELETE FROM audit WHERE number > 3"), 4);
        assert_eq!(broken_at("DELETE FROM audit"), 1);
        assert_eq!(broken_at("DELETE FROM meta WHERE key = 'audit_head'"), 1);
    }

    #[test]
    fn an_exchange_is_seen() {
        let exchanged = "UPDATE audit SET number = 99 WHERE number = 2;
            UPDATE audit SET number = 2 WHERE number = 4;
            UPDATE audit SET number = 4 WHERE number = 99;";
        assert_eq!(broken_at(exchanged), 2);
    }

    #[test]
    fn a_line_added_from_outside_is_seen() {
        let connection = log();
        let head = head(&connection).unwrap();
        let text = "{\"v\":1,\"body\":{}}";
        let hash = chain(6, text, &head.hash).unwrap();
        connection
            .execute("INSERT INTO audit VALUES (6, ?1, ?2)", [text, &hash])
            .unwrap();
        let verdict = verify(&connection).unwrap();
        assert!(matches!(verdict, AuditVerdict::Broken { number: 6, .. }));
    }
}
