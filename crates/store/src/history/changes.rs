//! Changes of properties, as they were seen. The same change appended again is one change.

use evenkeel_core::{PropertyPath, ResourceId};
use evenkeel_ports::{PropertyChange, Range};
use rusqlite::{Connection, params};

use crate::fault::Fault;
use crate::record;

/// Adds changes.
pub(super) fn append(connection: &Connection, changes: &[PropertyChange]) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO change(resource, property, at, body) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM change
             WHERE resource = ?1 AND at = ?3 AND property = ?2 AND body = ?4)",
    )?;
    for change in changes {
        let body = record::encode(change)
            .map_err(|error| Fault::Refused(format!("a change of {}: {error}", change.property)))?;
        statement.execute(params![
            change.resource.as_str(),
            change.property.as_str(),
            change.at.as_millis(),
            body
        ])?;
    }
    Ok(())
}

/// Changes in order of time; those of one instant in the order in which they were appended. A step in
/// `range` means nothing here.
pub(super) fn read(
    connection: &Connection,
    resource: &ResourceId,
    property: Option<&PropertyPath>,
    range: Range,
) -> Result<Vec<PropertyChange>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id, body FROM change
         WHERE resource = ?1 AND at >= ?2 AND at < ?3 AND (?4 IS NULL OR property = ?4)
         ORDER BY at, id",
    )?;
    let (from, until) = (range.from.as_millis(), range.until.as_millis());
    let property = property.map(PropertyPath::as_str);
    let rows = statement.query_map(params![resource.as_str(), from, until, property], |row| {
        <(i64, String)>::try_from(row)
    })?;
    rows.map(|row| {
        let (id, body) = row?;
        record::decode(&body).map_err(|error| Fault::Damaged {
            row: format!("table change, row {id}"),
            what: error.to_string(),
        })
    })
    .collect()
}

/// How many changes are older than `cut`.
pub(super) fn count_before(connection: &Connection, cut: i64) -> Result<u64, Fault> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM change WHERE at < ?1")?
        .query_row([cut], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Removes changes older than `cut`.
pub(super) fn remove_before(connection: &Connection, cut: i64) -> Result<u64, Fault> {
    let removed = connection
        .prepare_cached("DELETE FROM change WHERE at < ?1")?
        .execute([cut])?;
    Ok(removed as u64)
}
