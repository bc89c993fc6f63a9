//! Leases. The highest token ever granted stays with the resource after its lease was given back, so
//! that a late actor with a lower one is refused for ever.

use evenkeel_core::{ResourceId, Timestamp};
use evenkeel_ports::Lease;
use rusqlite::{Connection, OptionalExtension, params};

use super::{from_sql, to_sql};
use crate::fault::Fault;

/// Grants `wanted` if the lease is free, void at `now`, or its holder's own, and the token not lower
/// than any granted before.
pub(super) fn acquire(
    connection: &Connection,
    wanted: Lease,
    now: Timestamp,
) -> Result<Option<Lease>, Fault> {
    type Columns = (Option<String>, i64, i64);
    let found: Option<Columns> = connection
        .prepare_cached("SELECT holder, token_max, until FROM lease WHERE resource = ?1")?
        .query_row([wanted.resource.as_str()], |row| row.try_into())
        .optional()?;
    if let Some((holder, token_max, until)) = found {
        let is_void = until <= now.as_millis();
        let is_held_by_another = holder.is_some_and(|holder| holder != wanted.holder) && !is_void;
        if is_held_by_another || wanted.token.0 < from_sql(token_max) {
            return Ok(None);
        }
    }
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO lease(resource, holder, token_max, until) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            wanted.resource.as_str(),
            wanted.holder,
            to_sql(wanted.token.0),
            wanted.until.as_millis()
        ])?;
    Ok(Some(wanted))
}

/// Frees the lease if it is `holder`'s.
pub(super) fn release(
    connection: &Connection,
    resource: &ResourceId,
    holder: &str,
) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE lease SET holder = NULL WHERE resource = ?1 AND holder = ?2")?
        .execute(params![resource.as_str(), holder])?;
    Ok(())
}
