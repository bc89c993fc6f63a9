//! Series from the daemon: what it stored of a resource's numbers.

use evenkeel_api::wire::{Aggregation, HistoryQuery, Stream, ValueKind};

use super::input::Read;
use crate::args::BacktestArgs;
use crate::error::CliError;
use crate::render::text::parse_time;
use crate::session::Session;

/// Asks for the history of one property, or of every one that is a number.
pub(super) async fn stored(
    session: &Session<'_>,
    resource: &str,
    args: &BacktestArgs,
    into: &mut Read,
) -> Result<(), CliError> {
    let properties = match &args.property {
        Some(property) => vec![property.clone()],
        None => numbers(session, resource).await?,
    };
    let now = session.now();
    for property in properties {
        let query = HistoryQuery {
            property: property.clone(),
            stream: Some(Stream::Value),
            from: Some(args.since.ago(now).to_string()),
            until: Some(now.to_string()),
            step_s: args.step.map(|step| step.as_secs_f64()),
            aggregation: args.step.map(|_| Aggregation::Last),
        };
        let series = session.client.history(resource, &query).await?;
        let samples: Vec<(i64, f64)> = series
            .points
            .iter()
            .filter(|point| point.value.is_finite())
            .filter_map(|point| Some((parse_time(&point.at)?.as_millis(), point.value)))
            .collect();
        into.lay(property, samples);
    }
    Ok(())
}

async fn numbers(session: &Session<'_>, resource: &str) -> Result<Vec<String>, CliError> {
    let list = session.client.properties(resource).await?;
    let is_number = |kind| kind == ValueKind::Number;
    let numbers: Vec<String> = (list.properties.into_iter())
        .filter(|property| {
            property
                .value
                .as_ref()
                .is_some_and(|value| is_number(value.kind))
        })
        .map(|property| property.path)
        .collect();
    if numbers.is_empty() {
        return Err(CliError::Failed(format!(
            "{resource} has no property that is a number: `evenkeel properties {resource} --all` \
             lists them"
        )));
    }
    Ok(numbers)
}
