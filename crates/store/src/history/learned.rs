//! What was learned, one row per property: bytes that only whoever wrote them understands, with a checksum
//! over them and what they belong to.

use evenkeel_core::{PropertyPath, ResourceId};
use evenkeel_ports::{Learned, LearnedFound};
use rusqlite::{Connection, params};

use super::bytes::{close_blob, open_blob};
use crate::fault::Fault;

/// Puts each state in the place of the one before, and removes what is forgotten.
pub(super) fn save(
    connection: &Connection,
    resource: &ResourceId,
    states: &[Learned],
    forgotten: &[PropertyPath],
) -> Result<(), Fault> {
    let mut put = connection.prepare_cached(
        "INSERT INTO learned(resource, property, data) VALUES (?1, ?2, ?3)
         ON CONFLICT(resource, property) DO UPDATE SET data = excluded.data",
    )?;
    for Learned { property, state } in states {
        let data = close_blob(state.clone(), &context(resource, property.as_str()));
        put.execute(params![resource.as_str(), property.as_str(), data])?;
    }
    let mut remove =
        connection.prepare_cached("DELETE FROM learned WHERE resource = ?1 AND property = ?2")?;
    for property in forgotten {
        remove.execute(params![resource.as_str(), property.as_str()])?;
    }
    Ok(())
}

/// All states of a resource, and the damage that was found among them, as errors of the file `file`.
pub(super) fn load(
    connection: &Connection,
    resource: &ResourceId,
    file: &str,
) -> Result<LearnedFound, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id, property, data FROM learned WHERE resource = ?1 ORDER BY property",
    )?;
    let mut rows = statement.query([resource.as_str()])?;
    let mut found = LearnedFound::default();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let read = || -> Result<Learned, String> {
            let property: String = row.get(1).map_err(|error| error.to_string())?;
            let data = row.get_ref(2).map_err(|error| error.to_string())?;
            let data = data.as_blob().map_err(|error| error.to_string())?;
            let state = open_blob(data, &context(resource, &property));
            let state = state.map_err(|error| error.to_string())?.to_vec();
            let property = PropertyPath::from(property.as_str());
            Ok(Learned { property, state })
        };
        match read() {
            Ok(learned) => found.states.push(learned),
            Err(what) => {
                let row = format!("table learned, row {id}");
                let fault = Fault::Damaged { row, what };
                found.damaged.push(fault.into_history_error(file));
            }
        }
    }
    Ok(found)
}

/// No name has a zero byte, so that `a` + `bc` and `ab` + `c` are told apart.
fn context<'a>(resource: &'a ResourceId, property: &'a str) -> [&'a [u8]; 3] {
    [resource.as_str().as_bytes(), &[0], property.as_bytes()]
}
