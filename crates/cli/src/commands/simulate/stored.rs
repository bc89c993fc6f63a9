//! A resource from the daemon's history.
//!
//! Replayed are the stored *deviations*, of whatever kind the property is: they are counted in its tolerance and
//! from what was approved at the time, so that neither has to be known. As values they are numbers whose
//! approved value is 0 and whose tolerance is 1.

use std::time::Duration;

use evenkeel_api::wire::{self, HistoryQuery, PolicyView, Stream};
use evenkeel_core::PropertyPath;
use evenkeel_core::policy::{ActOn, Mode, Policy, Probability, RiskTolerance, Tolerance, When};
use evenkeel_core::property::Severity;

use super::record::{self, Column};
use super::source::{self, Subject};
use crate::args::{Moment, SimulateArgs};
use crate::error::CliError;
use crate::render::text::parse_time;
use crate::session::Session;

/// How far back, where nothing is said.
const WEEK: Moment = Moment::FromNow(Duration::from_secs(7 * 86_400));

/// Asks for the deviations of every property that is alerted or acted on.
pub(super) async fn stored(
    session: &Session<'_>,
    resource: &str,
    args: &SimulateArgs,
) -> Result<(source::Origin, Vec<Subject>), CliError> {
    let now = session.now();
    let from = args.since.unwrap_or(WEEK).ago(now);
    let until = args.until.map_or(now, |until| until.ago(now));
    if from >= until {
        return Err(CliError::Usage(format!(
            "--since {from} is not before --until {until}"
        )));
    }
    let detail = session.client.resource(resource).await?;
    let list = session.client.properties(resource).await?;
    let mut columns = Vec::new();
    for property in list.properties {
        let severity = match property.severity {
            wire::Severity::Info => continue,
            wire::Severity::Warn => Severity::Warn,
            wire::Severity::Critical => Severity::Critical,
        };
        let query = HistoryQuery {
            property: property.path.clone(),
            stream: Some(Stream::Deviation),
            from: Some(from.to_string()),
            until: Some(until.to_string()),
            step_s: None,
            aggregation: None,
        };
        let series = session.client.history(resource, &query).await?;
        let samples: Vec<(i64, f64)> = (series.points.iter())
            .filter_map(|point| Some((parse_time(&point.at)?.as_millis(), point.value)))
            .collect();
        if !samples.is_empty() {
            columns.push(Column {
                path: PropertyPath::from(property.path.as_str()),
                approved: 0.0,
                tolerance: Tolerance::Absolute(1.0),
                severity,
                samples,
            });
        }
    }
    if columns.is_empty() {
        return Err(CliError::Failed(format!(
            "no property of {resource} that is alerted or acted on moved between {from} and {until}"
        )));
    }
    let mut subject = record::resource(resource, policy(&detail.policy)?, &columns)?;
    if let Some(measured) = detail.status.activation_ms {
        subject.assumed.activation = Duration::from_millis(measured);
    }
    let origin = source::Origin::History {
        resource: resource.to_owned(),
    };
    Ok((origin, vec![subject]))
}

/// The policy as it is in force, but with mode `act`: the point is to see what would be done.
fn policy(view: &PolicyView) -> Result<Policy, CliError> {
    let wrong = |what: &dyn std::fmt::Display| {
        CliError::Failed(format!("the daemon's policy cannot be understood: {what}"))
    };
    let span = |seconds: f64| Duration::try_from_secs_f64(seconds).map_err(|error| wrong(&error));
    Ok(Policy {
        mode: Mode::Act,
        when: When::named(&view.when)
            .ok_or_else(|| wrong(&format!("`when` is `{}`", view.when)))?,
        act_on: ActOn::named(&view.act_on)
            .ok_or_else(|| wrong(&format!("`act_on` is `{}`", view.act_on)))?,
        warm_up: Some(span(view.warm_up_s)?),
        risk_tolerance: RiskTolerance::new(view.risk_tolerance).map_err(|error| wrong(&error))?,
        min_confidence: Probability::new(view.min_confidence).map_err(|error| wrong(&error))?,
        sustain_k: view.sustain_k,
        sustain_n: view.sustain_n,
        horizon: span(view.horizon_s)?,
        sample_every: span(view.sample_every_s)?,
        cool_down: span(view.cool_down_s)?,
        max_data_age: span(view.max_data_age_s)?,
        revert: view.revert,
        ..Policy::default()
    })
}
