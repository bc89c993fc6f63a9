//! A resource from files of samples: every series is a critical property.

use evenkeel_core::PropertyPath;
use evenkeel_core::policy::{Mode, Policy, Tolerance};
use evenkeel_core::property::Severity;

use super::record::{self, Column};
use super::source::{self, Subject};
use crate::args::{Of, SimulateArgs};
use crate::error::CliError;
use crate::series::{Series, bytes, file_stem, samples};

/// What the resource is called.
const NAME: &str = "csv";

/// The horizon where none is said: as by default, but at least so many steps.
const HORIZON_STEPS: u32 = 24;

/// Reads the files, and makes one resource of them.
pub(super) fn csv(args: &SimulateArgs) -> Result<(source::Origin, Vec<Subject>), CliError> {
    let mut all: Vec<Series> = Vec::new();
    for file in &args.csv {
        let name = file_stem(file, &args.csv);
        let read = samples(file, &bytes(file)?, &name)
            .map_err(|error| CliError::Usage(error.to_string()))?;
        for (name, samples) in read {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.extend(samples),
                None => all.push((name, samples)),
            }
        }
    }
    known(&all, args)?;
    let mut columns = Vec::new();
    for (name, samples) in all {
        let (approved, tolerance) = asked(&name, args)?;
        columns.push(Column {
            path: PropertyPath::from(name.as_str()),
            approved,
            tolerance,
            severity: Severity::Critical,
            samples,
        });
    }
    let step = record::median_gap(&record::instants(&columns));
    let mut policy = Policy {
        mode: Mode::Act,
        sample_every: step,
        ..Policy::default()
    };
    policy.horizon = policy.horizon.max(step * HORIZON_STEPS);
    let subject = record::resource(NAME, policy, &columns)?;
    let files = args.csv.iter().map(|file| file.display().to_string());
    let origin = source::Origin::Csv {
        files: files.collect(),
    };
    Ok((origin, vec![subject]))
}

/// What is said of one series is said of one that is there.
fn known(all: &[Series], args: &SimulateArgs) -> Result<(), CliError> {
    let approved = args.approved.iter().map(|of| (&of.series, "--approved"));
    let limits = args.limits.iter().map(|of| (&of.series, "--limits"));
    let tolerances = args.tolerance.iter().map(|of| (&of.series, "--tolerance"));
    for (series, option) in approved.chain(limits).chain(tolerances) {
        let Some(series) = series else { continue };
        if !all.iter().any(|(name, _)| name == series) {
            let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).take(3).collect();
            return Err(CliError::Usage(format!(
                "{option} {series}=...: there is no such series; the first ones are {}",
                names.join(", ")
            )));
        }
    }
    Ok(())
}

/// The approved value of a series, and how far it may go.
fn asked(name: &str, args: &SimulateArgs) -> Result<(f64, Tolerance), CliError> {
    let approved = *of(&args.approved, name).ok_or_else(|| {
        CliError::Usage(format!(
            "series {name} has no approved value: say `--approved {name}=V`, or `--approved V` for all"
        ))
    })?;
    let named = |all: &[Of<Tolerance>]| all.iter().any(|of| of.series.as_deref() == Some(name));
    let (limits, tolerance) = (of(&args.limits, name), of(&args.tolerance, name));
    if let Some(Tolerance::Limits { lower, upper }) = limits
        && (lower.is_some_and(|lower| approved <= lower)
            || upper.is_some_and(|upper| approved >= upper))
    {
        return Err(CliError::Usage(format!(
            "series {name}: the approved value {approved} does not lie between its limits"
        )));
    }
    match (limits, tolerance) {
        (Some(_), Some(tolerance)) if named(&args.tolerance) && !named(&args.limits) => {
            Ok((approved, *tolerance))
        }
        (Some(limits), None) => Ok((approved, *limits)),
        (Some(limits), Some(_)) if named(&args.limits) && !named(&args.tolerance) => {
            Ok((approved, *limits))
        }
        (None, Some(tolerance)) => Ok((approved, *tolerance)),
        (Some(_), Some(_)) => Err(CliError::Usage(format!(
            "series {name} has limits and a tolerance: say one of them"
        ))),
        (None, None) => Err(CliError::Usage(format!(
            "nothing says how far series {name} may go: say `--limits L,U` or `--tolerance T`"
        ))),
    }
}

/// What is said of this series, else what is said of all.
fn of<'a, T>(all: &'a [Of<T>], name: &str) -> Option<&'a T> {
    let found = |series: Option<&str>| all.iter().rfind(|of| of.series.as_deref() == series);
    found(Some(name))
        .or_else(|| found(None))
        .map(|of| &of.value)
}
