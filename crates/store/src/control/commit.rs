//! Changing a resource's record: everything that belongs to one decision, in one transaction.

use evenkeel_core::record::NewEvent;
use evenkeel_core::{EventId, ResourceId};
use evenkeel_ports::{Commit, Committed, Revision};
use rusqlite::{Connection, OptionalExtension, params};

use super::{audit, encode, from_sql, journal, to_sql};
use crate::fault::Fault;

/// Applies `commit` if the record is at `read_at`. Runs inside the caller's transaction.
pub(super) fn commit(
    connection: &Connection,
    resource: &ResourceId,
    read_at: Revision,
    commit: &Commit,
) -> Result<Committed, Fault> {
    let found = revision(connection, resource)?;
    if found.unwrap_or_default() != read_at {
        return Err(Fault::Conflict {
            resource: resource.clone(),
            expected: read_at,
            found: found.unwrap_or_default(),
        });
    }
    let revision = Revision(read_at.0 + 1);
    match found {
        None => insert(connection, resource, revision, commit)?,
        Some(_) => update(connection, resource, revision, commit)?,
    }
    if let Some(baseline) = &commit.baseline {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO baseline(resource, version, body) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                resource.as_str(),
                to_sql(baseline.version.0),
                encode(baseline)?
            ])?;
    }
    if let Some(plan) = &commit.plan {
        if plan.resource != *resource {
            return Err(Fault::Refused(format!(
                "a plan for {} was committed with the record of {resource}",
                plan.resource
            )));
        }
        journal::open(connection, plan)?;
    }
    write_generations(connection, resource, commit)?;
    for entry in &commit.audit {
        audit::append(connection, entry)?;
    }
    let events = record(connection, &commit.events)?;
    Ok(Committed { revision, events })
}

/// Records events; they are numbered in their order.
pub(super) fn record(connection: &Connection, events: &[NewEvent]) -> Result<Vec<EventId>, Fault> {
    let mut statement = connection
        .prepare_cached("INSERT INTO event(resource, kind, run, body) VALUES (?1, ?2, ?3, ?4)")?;
    let mut ids = Vec::with_capacity(events.len());
    for event in events {
        let id = statement.insert(params![
            event.resource.as_ref().map(ResourceId::as_str),
            event.kind.as_str(),
            event.run.map(|run| to_sql(run.0)),
            encode(event)?
        ])?;
        ids.push(EventId(from_sql(id)));
    }
    Ok(ids)
}

fn revision(connection: &Connection, resource: &ResourceId) -> Result<Option<Revision>, Fault> {
    let revision = connection
        .prepare_cached("SELECT revision FROM resource WHERE id = ?1")?
        .query_row([resource.as_str()], |row| row.get(0))
        .optional()?;
    Ok(revision.map(|revision| Revision(from_sql(revision))))
}

fn insert(
    connection: &Connection,
    resource: &ResourceId,
    revision: Revision,
    commit: &Commit,
) -> Result<(), Fault> {
    let Some(state) = &commit.state else {
        return Err(Fault::Refused(format!(
            "{resource} has no record yet: its first commit has to bring a state"
        )));
    };
    connection
        .prepare_cached(
            "INSERT INTO resource(id, revision, state, baseline, rehearsal) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            resource.as_str(),
            to_sql(revision.0),
            encode(state)?,
            commit.baseline.as_ref().map(|b| to_sql(b.version.0)),
            commit.rehearsal.as_ref().map(encode).transpose()?,
        ])?;
    Ok(())
}

fn update(
    connection: &Connection,
    resource: &ResourceId,
    revision: Revision,
    commit: &Commit,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE resource SET revision = ?2, state = coalesce(?3, state),
                baseline = coalesce(?4, baseline), rehearsal = coalesce(?5, rehearsal)
             WHERE id = ?1",
        )?
        .execute(params![
            resource.as_str(),
            to_sql(revision.0),
            commit.state.as_ref().map(encode).transpose()?,
            commit.baseline.as_ref().map(|b| to_sql(b.version.0)),
            commit.rehearsal.as_ref().map(encode).transpose()?,
        ])?;
    Ok(())
}

fn write_generations(
    connection: &Connection,
    resource: &ResourceId,
    commit: &Commit,
) -> Result<(), Fault> {
    for generation in &commit.generations {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO generation(resource, id, body) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                resource.as_str(),
                to_sql(generation.id.0),
                encode(generation)?
            ])?;
    }
    for id in &commit.forgotten {
        connection
            .prepare_cached("DELETE FROM generation WHERE resource = ?1 AND id = ?2")?
            .execute(params![resource.as_str(), to_sql(id.0)])?;
    }
    Ok(())
}
