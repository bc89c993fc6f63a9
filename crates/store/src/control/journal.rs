//! Sagas, line by line. A line is only ever added, to a run that is open.

use evenkeel_core::failover::{Event, Outcome, Plan};
use evenkeel_core::{RunId, Timestamp};
use evenkeel_ports::RunRecord;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{decode, encode, from_sql, to_sql};
use crate::fault::Fault;

/// Opens the run of `plan`.
pub(super) fn open(connection: &Connection, plan: &Plan) -> Result<(), Fault> {
    let is_new = connection
        .prepare_cached("INSERT OR IGNORE INTO run(id, plan) VALUES (?1, ?2)")?
        .execute(params![to_sql(plan.run.0), encode(plan)?])?;
    if is_new == 0 {
        return Err(Fault::Refused(format!(
            "{} exists already: ask for the next number before planning",
            plan.run
        )));
    }
    Ok(())
}

/// A number no run has had, and that is given out once only.
pub(super) fn next_run(connection: &Transaction<'_>) -> Result<RunId, Fault> {
    let given: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'run_given'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let given = match given {
        None => 0,
        Some(text) => text.parse::<u64>().map_err(|_| Fault::Damaged {
            row: "table meta, row run_given".to_owned(),
            what: format!("`{text}` is not a number"),
        })?,
    };
    let highest: Option<i64> = connection
        .prepare_cached("SELECT max(id) FROM run")?
        .query_row([], |row| row.get(0))?;
    let next = RunId(given.max(highest.map_or(0, from_sql))).next();
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta(key, value) VALUES ('run_given', ?1)")?
        .execute([next.0.to_string()])?;
    Ok(next)
}

/// Adds one line.
pub(super) fn append(
    connection: &Connection,
    run: RunId,
    at: Timestamp,
    event: &Event,
) -> Result<(), Fault> {
    if let Some(outcome) = outcome(connection, run)? {
        return Err(Fault::Refused(format!(
            "{run} is closed ({outcome:?}): nothing can be added to it"
        )));
    }
    connection
        .prepare_cached(
            "INSERT INTO run_event(run, number, at, body)
             VALUES (?1, (SELECT count(*) FROM run_event WHERE run = ?1), ?2, ?3)",
        )?
        .execute(params![to_sql(run.0), at.as_millis(), encode(event)?])?;
    Ok(())
}

/// Closes a run. Closing it again in the same way changes nothing, so that a caller which died before
/// it heard of its success can repeat the call.
pub(super) fn close(
    connection: &Connection,
    run: RunId,
    at: Timestamp,
    outcome: Outcome,
) -> Result<(), Fault> {
    match self::outcome(connection, run)? {
        Some(before) if before == outcome => return Ok(()),
        Some(before) => {
            return Err(Fault::Refused(format!(
                "{run} is closed as {before:?} and cannot be closed as {outcome:?}"
            )));
        }
        None => {}
    }
    connection
        .prepare_cached("UPDATE run SET closed_at = ?2, outcome = ?3 WHERE id = ?1")?
        .execute(params![to_sql(run.0), at.as_millis(), encode(&outcome)?])?;
    Ok(())
}

/// How a run ended; an error if there is none of that number.
fn outcome(connection: &Connection, run: RunId) -> Result<Option<Outcome>, Fault> {
    let found: Option<Option<String>> = connection
        .prepare_cached("SELECT outcome FROM run WHERE id = ?1")?
        .query_row([to_sql(run.0)], |row| row.get(0))
        .optional()?;
    let outcome = found.ok_or_else(|| Fault::Refused(format!("there is no run {run}")))?;
    outcome
        .map(|text| decode(&text, || format!("table run, row {run}")))
        .transpose()
}

/// The runs that were not closed, oldest first.
pub(super) fn open_runs(connection: &Connection) -> Result<Vec<RunRecord>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM run WHERE outcome IS NULL ORDER BY id")?;
    let ids = statement
        .query_map([], |row| row.get::<_, i64>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        runs.extend(run(connection, RunId(from_sql(id)))?);
    }
    Ok(runs)
}

/// One run with all its lines.
pub(super) fn run(connection: &Connection, run: RunId) -> Result<Option<RunRecord>, Fault> {
    let found: Option<(String, Option<String>)> = connection
        .prepare_cached("SELECT plan, outcome FROM run WHERE id = ?1")?
        .query_row([to_sql(run.0)], |row| row.try_into())
        .optional()?;
    let Some((plan, outcome)) = found else {
        return Ok(None);
    };
    let row = || format!("table run, row {run}");
    Ok(Some(RunRecord {
        plan: decode(&plan, row)?,
        events: lines(connection, run)?,
        outcome: outcome.map(|text| decode(&text, row)).transpose()?,
    }))
}

fn lines(connection: &Connection, run: RunId) -> Result<Vec<(Timestamp, Event)>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT number, at, body FROM run_event WHERE run = ?1 ORDER BY number")?;
    let rows = statement.query_map([to_sql(run.0)], |row| <(i64, i64, String)>::try_from(row))?;
    rows.map(|row| {
        let (number, at, body) = row?;
        let event = decode(&body, || format!("table run_event, row {run}/{number}"))?;
        Ok((Timestamp::from_millis(at), event))
    })
    .collect()
}
