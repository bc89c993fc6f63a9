//! Forecasts as they were made: the grid as JSON, the quantiles packed level by level (neighbouring
//! horizons are alike, neighbouring levels less so). About a quarter of what JSON takes.

use evenkeel_core::forecast::{Forecast, HorizonGrid, LEVELS, Quantiles};
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::bytes::{Malformed, Reader, close_blob, open_blob, put_varint};
use super::column::{ROWS_MAX, put_values, values};
use crate::fault::Fault;

const FORM: u8 = 1;

/// Keeps forecasts; one of the same property and origin as one that is there takes its place.
pub(super) fn append(
    connection: &Connection,
    resource: &ResourceId,
    forecasts: &[(PropertyPath, Forecast)],
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO forecast(resource, property, origin, data) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (property, forecast) in forecasts {
        let data = encode(forecast)
            .map_err(|what| Fault::Refused(format!("the forecast of {property}: {what}")))?;
        let origin = forecast.origin.as_millis();
        statement.execute(params![resource.as_str(), property.as_str(), origin, data])?;
    }
    Ok(())
}

/// The latest forecast of a property made at or before `at`.
pub(super) fn at(
    connection: &Connection,
    resource: &ResourceId,
    property: &PropertyPath,
    at: Timestamp,
) -> Result<Option<Forecast>, Fault> {
    let found: Option<(i64, i64, Vec<u8>)> = connection
        .prepare_cached(
            "SELECT id, origin, data FROM forecast
             WHERE resource = ?1 AND property = ?2 AND origin <= ?3 ORDER BY origin DESC LIMIT 1",
        )?
        .query_row(
            params![resource.as_str(), property.as_str(), at.as_millis()],
            |row| row.try_into(),
        )
        .optional()?;
    let Some((id, origin, data)) = found else {
        return Ok(None);
    };
    let forecast = decode(&data, Timestamp::from_millis(origin));
    forecast.map(Some).map_err(|error| Fault::Damaged {
        row: format!("table forecast, row {id}"),
        what: error.to_string(),
    })
}

/// How many forecasts are older than `cut`.
pub(super) fn count_before(connection: &Connection, cut: i64) -> Result<u64, Fault> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM forecast WHERE origin < ?1")?
        .query_row([cut], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Removes forecasts older than `cut`.
pub(super) fn remove_before(connection: &Connection, cut: i64) -> Result<u64, Fault> {
    let removed = connection
        .prepare_cached("DELETE FROM forecast WHERE origin < ?1")?
        .execute([cut])?;
    Ok(removed as u64)
}

fn encode(forecast: &Forecast) -> Result<Vec<u8>, String> {
    let horizons = forecast.quantiles.len();
    if horizons > ROWS_MAX {
        return Err(format!("{horizons} horizons are more than can be stored"));
    }
    let all = || forecast.quantiles.iter().flat_map(|q| q.values());
    if let Some(bad) = all().find(|quantile| !quantile.is_finite()) {
        return Err(format!("{bad} is not a finite number"));
    }
    let grid = serde_json::to_vec(&forecast.grid).map_err(|error| error.to_string())?;
    let mut out = vec![FORM];
    put_varint(&mut out, grid.len() as u64);
    out.extend(grid);
    put_varint(&mut out, horizons as u64);
    for level in 0..LEVELS.len() {
        let column: Vec<f64> = (forecast.quantiles.iter().map(|q| q.values()[level])).collect();
        put_values(&mut out, &column);
    }
    Ok(close_blob(
        out,
        &[&forecast.origin.as_millis().to_le_bytes()],
    ))
}

fn decode(blob: &[u8], origin: Timestamp) -> Result<Forecast, Malformed> {
    decode_body(
        open_blob(blob, &[&origin.as_millis().to_le_bytes()])?,
        origin,
    )
}

fn decode_body(body: &[u8], origin: Timestamp) -> Result<Forecast, Malformed> {
    let mut reader = Reader::new(body);
    if reader.take(1)?[0] != FORM {
        return Err(Malformed("its form is not known here"));
    }
    let length = reader.count(1)?;
    let grid: HorizonGrid = serde_json::from_slice(reader.take(length)?)
        .map_err(|_| Malformed("its horizons cannot be read"))?;
    let horizons = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    let mut levels = Vec::with_capacity(LEVELS.len());
    for _ in LEVELS {
        levels.push(values(&mut reader, horizons)?);
    }
    let quantiles = (0..horizons)
        .map(|horizon| Quantiles::new(std::array::from_fn(|level| levels[level][horizon])))
        .collect();
    Ok(Forecast {
        origin,
        grid,
        quantiles,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn forecast() -> Forecast {
        let grid = HorizonGrid::new(Duration::from_secs(10), Duration::from_secs(3600));
        let quantiles = (0..grid.len())
            .map(|h| {
                let spread = (h as f64 + 1.0).sqrt() / 7.0;
                Quantiles::new(LEVELS.map(|level| 0.01 * h as f64 + spread * (level - 0.5)))
            })
            .collect();
        Forecast {
            origin: Timestamp::from_millis(1_000),
            grid,
            quantiles,
        }
    }

    #[test]
    fn a_forecast_comes_back_and_takes_less_than_json() {
        let forecast = forecast();
        let stored = encode(&forecast).unwrap();
        let json = serde_json::to_vec(&forecast).unwrap();
        assert!(
            stored.len() * 2 < json.len(),
            "{} of {}",
            stored.len(),
            json.len()
        );
        assert_eq!(decode(&stored, forecast.origin), Ok(forecast));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in any::<prop::sample::Index>(), xor in 1_u8.., cut in any::<prop::sample::Index>()) {
            let mut body = encode(&forecast()).unwrap();
            let at = at.index(body.len());
            body[at] ^= xor;
            body.truncate(cut.index(body.len() * 2).max(1));
            let _ = decode_body(&body, Timestamp::from_millis(0));
        }
    }
}
