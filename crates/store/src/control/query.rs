//! Reading control state.

use std::fs::File;
use std::io::Read;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::generation::Generation;
use evenkeel_core::record::EventRecord;
use evenkeel_core::{BaselineVersion, EventId, ResourceId};
use evenkeel_ports::{EventFilter, ResourceRecord, Revision};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{decode, from_sql, to_sql};
use crate::fault::Fault;

pub(super) fn resource(
    connection: &Connection,
    resource: &ResourceId,
) -> Result<Option<ResourceRecord>, Fault> {
    type Columns = (i64, String, Option<i64>, Option<String>);
    let found: Option<Columns> = connection
        .prepare_cached("SELECT revision, state, baseline, rehearsal FROM resource WHERE id = ?1")?
        .query_row([resource.as_str()], |row| row.try_into())
        .optional()?;
    let Some((revision, state, version, rehearsal)) = found else {
        return Ok(None);
    };
    let row = || format!("table resource, row {resource}");
    let in_force = match version {
        None => None,
        Some(version) => {
            let version = BaselineVersion(from_sql(version));
            let found = baseline(connection, resource, version)?;
            Some(found.ok_or_else(|| Fault::Damaged {
                row: row(),
                what: format!("its baseline {version} is missing"),
            })?)
        }
    };
    Ok(Some(ResourceRecord {
        revision: Revision(from_sql(revision)),
        state: decode(&state, row)?,
        baseline: in_force,
        rehearsal: rehearsal.map(|text| decode(&text, row)).transpose()?,
    }))
}

pub(super) fn resources(connection: &Connection) -> Result<Vec<ResourceId>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id FROM resource ORDER BY id")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    names
        .map(|name| Ok(ResourceId::new(name?)))
        .collect::<Result<_, Fault>>()
}

pub(super) fn baselines(
    connection: &Connection,
    resource: &ResourceId,
) -> Result<Vec<Baseline>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT version, body FROM baseline WHERE resource = ?1 ORDER BY version DESC",
    )?;
    let rows = statement.query_map([resource.as_str()], numbered_text)?;
    rows.map(|row| {
        let (version, body) = row?;
        decode(&body, || {
            format!("table baseline, row {resource} v{version}")
        })
    })
    .collect()
}

pub(super) fn baseline(
    connection: &Connection,
    resource: &ResourceId,
    version: BaselineVersion,
) -> Result<Option<Baseline>, Fault> {
    let body: Option<String> = connection
        .prepare_cached("SELECT body FROM baseline WHERE resource = ?1 AND version = ?2")?
        .query_row(params![resource.as_str(), to_sql(version.0)], |row| {
            row.get(0)
        })
        .optional()?;
    let row = || format!("table baseline, row {resource} {version}");
    body.map(|body| decode(&body, row)).transpose()
}

pub(super) fn generations(
    connection: &Connection,
    resource: &ResourceId,
) -> Result<Vec<Generation>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT id, body FROM generation WHERE resource = ?1 ORDER BY id")?;
    let rows = statement.query_map([resource.as_str()], numbered_text)?;
    rows.map(|row| {
        let (id, body) = row?;
        decode(&body, || format!("table generation, row {resource} g{id}"))
    })
    .collect()
}

pub(super) fn events(
    connection: &Connection,
    filter: &EventFilter,
) -> Result<Vec<EventRecord>, Fault> {
    let mut conditions = vec!["TRUE"];
    let mut values = Vec::new();
    if let Some(resource) = &filter.resource {
        conditions.push("resource = ?");
        values.push(Value::Text(resource.as_str().to_owned()));
    }
    if let Some(kind) = filter.kind {
        conditions.push("kind = ?");
        values.push(Value::Text(kind.as_str().to_owned()));
    }
    if let Some(run) = filter.run {
        conditions.push("run = ?");
        values.push(Value::Integer(to_sql(run.0)));
    }
    let order = match filter.after {
        None => "DESC",
        Some(after) => {
            conditions.push("id > ?");
            values.push(Value::Integer(to_sql(after.0)));
            "ASC"
        }
    };
    values.push(Value::Integer(
        i64::try_from(filter.limit).unwrap_or(i64::MAX),
    ));
    let conditions = conditions.join(" AND ");
    let sql = format!("SELECT id, body FROM event WHERE {conditions} ORDER BY id {order} LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), numbered_text)?;
    rows.map(|row| event_record(row?)).collect()
}

pub(super) fn event(connection: &Connection, id: EventId) -> Result<Option<EventRecord>, Fault> {
    let found = connection
        .prepare_cached("SELECT id, body FROM event WHERE id = ?1")?
        .query_row([to_sql(id.0)], numbered_text)
        .optional()?;
    found.map(event_record).transpose()
}

fn event_record((id, body): (i64, String)) -> Result<EventRecord, Fault> {
    let id = EventId(from_sql(id));
    let event = decode(&body, || format!("table event, row {id}"))?;
    Ok(EventRecord { id, event })
}

fn numbered_text(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    row.try_into()
}

/// The key under which secrets are hashed. It is made from the operating system's randomness, once.
pub(super) fn redaction_key(connection: &rusqlite::Transaction<'_>) -> Result<[u8; 32], Fault> {
    let stored: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'redaction_key'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if let Some(text) = stored {
        let hash = blake3::Hash::from_hex(&text).map_err(|_| Fault::Damaged {
            row: "table meta, row redaction_key".to_owned(),
            what: "it is not 64 hexadecimal digits".to_owned(),
        })?;
        return Ok(*hash.as_bytes());
    }
    let mut key = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut key))
        .map_err(|e| Fault::Refused(format!("no randomness for a key: /dev/urandom: {e}")))?;
    connection.execute(
        "INSERT INTO meta(key, value) VALUES ('redaction_key', ?1)",
        [blake3::Hash::from_bytes(key).to_hex().as_str()],
    )?;
    Ok(key)
}
