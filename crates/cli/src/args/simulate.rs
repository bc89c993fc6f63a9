//! `simulate`: what is replayed, by which policy, and what is told of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use evenkeel_core::policy::{ActOn, Probability, RiskTolerance, Tolerance, When};

use super::span::{Moment, parse_moment, parse_span};

/// `simulate`
#[derive(Clone, Debug, Args)]
#[command(
    group = ArgGroup::new("source").required(true).args(["scenario", "csv", "resource"]),
    after_help = "Example:\n  evenkeel simulate --scenario examples/scenarios/leak.toml \
                  --what-if 0,0.5,1"
)]
pub struct SimulateArgs {
    /// Made-up resources, described in this file (see docs/scenarios.md)
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// For what is random in a scenario: the same seed gives the same answer [default: the file's own]
    #[arg(long, value_name = "NUMBER", requires = "scenario")]
    pub seed: Option<u64>,
    /// Files of `timestamp,value` (the property is named after the file) or `series,timestamp,value`
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "approved")]
    pub csv: Vec<PathBuf>,
    /// The approved value of every series, or of one: `NAME=V`
    #[arg(long, value_name = "[NAME=]V", requires = "csv", allow_hyphen_values = true, value_parser = parse_approved)]
    pub approved: Vec<Of<f64>>,
    /// The harmless values, `L,U`; `,U` or `L,` leaves one side open
    #[arg(long, value_name = "[NAME=]L,U", requires = "csv", allow_hyphen_values = true, value_parser = parse_limits)]
    pub limits: Vec<Of<Tolerance>>,
    /// Or how far a value may go from the approved one: `12`, or `20%`
    #[arg(long, value_name = "[NAME=]T", requires = "csv", value_parser = parse_tolerance)]
    pub tolerance: Vec<Of<Tolerance>>,
    /// What the daemon stored of this resource, by the policy that is in force
    #[arg(long, value_name = "NAME")]
    pub resource: Option<String>,
    /// Its history from when on: `90s`, `1h`, `7d` ago, or an instant [default: 7d]
    #[arg(long, value_name = "WHEN", requires = "resource", value_parser = parse_moment)]
    pub since: Option<Moment>,
    /// And until when [default: now]
    #[arg(long, value_name = "WHEN", requires = "resource", value_parser = parse_moment)]
    pub until: Option<Moment>,

    /// How much risk is tolerated: 0 acts on the least sign, 1 waits longest
    #[arg(long, value_name = "0..1", value_parser = parse_risk)]
    pub risk_tolerance: Option<RiskTolerance>,
    /// The least confidence on which a prediction is acted
    #[arg(long, value_name = "0..1", value_parser = parse_probability)]
    pub min_confidence: Option<Probability>,
    /// A prediction counts when k of the last n evaluations saw it
    #[arg(long, value_name = "K/N", value_parser = parse_sustain)]
    pub sustain: Option<Sustained>,
    /// When a predicted breach is acted on: early, latest-safe
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    pub when: Option<When>,
    /// What a predicted breach is acted on for: harm, band
    #[arg(long, value_name = "WHAT", value_parser = parse_act_on)]
    pub act_on: Option<ActOn>,
    /// How far ahead is forecast
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub horizon: Option<Duration>,

    /// One row for each of these risk tolerances, instead of the decisions of one
    #[arg(
        long,
        value_name = "R,R,...",
        value_delimiter = ',',
        num_args = 1,
        conflicts_with_all = ["risk_tolerance", "all"],
        value_parser = parse_risk
    )]
    pub what_if: Vec<RiskTolerance>,
    /// On how many threads; changes no answer [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Every notable decision, not only those that matter most
    #[arg(long)]
    pub all: bool,
    /// Write a plot of each property that moved into this directory, as SVG
    #[arg(long, value_name = "DIR", conflicts_with = "what_if")]
    pub plot: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `k` of `n` evaluations; `1 <= k <= n <= 64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sustained {
    /// So many ...
    pub k: u8,
    /// ... of the last so many.
    pub n: u8,
}

/// Something that is said of one series, or of all that nothing else is said of.
#[derive(Clone, Debug, PartialEq)]
pub struct Of<T> {
    /// Which; `None` for all others.
    pub series: Option<String>,
    /// What.
    pub value: T,
}

/// Reads `NAME=...` or `...`; a name may have a `=` in it.
fn of_series<T>(
    text: &str,
    read: impl Fn(&str) -> Option<T>,
    asked: &str,
) -> Result<Of<T>, String> {
    let (series, value) = match text.rsplit_once('=') {
        Some((series, value)) => (Some(series.to_owned()), value),
        None => (None, text),
    };
    read(value.trim())
        .map(|value| Of { series, value })
        .ok_or_else(|| asked.to_owned())
}

fn finite(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|value: &f64| value.abs() <= 1e30)
}

fn parse_approved(text: &str) -> Result<Of<f64>, String> {
    of_series(text, finite, "write a number such as `400`, or `NAME=400`")
}

fn parse_limits(text: &str) -> Result<Of<Tolerance>, String> {
    let side = |text: &str| match text.trim() {
        "" => Some(None),
        text => finite(text).map(Some),
    };
    let read = |text: &str| {
        let (lower, upper) = text.split_once(',')?;
        let (lower, upper) = (side(lower)?, side(upper)?);
        let fits = match (lower, upper) {
            (Some(lower), Some(upper)) => lower < upper,
            (None, None) => false,
            (_, _) => true,
        };
        fits.then_some(Tolerance::Limits { lower, upper })
    };
    let asked = "write the lowest and the highest harmless value, such as `10,1024`, `,1024` or `NAME=,1024`";
    of_series(text, read, asked)
}

fn parse_tolerance(text: &str) -> Result<Of<Tolerance>, String> {
    let positive = |text: &str| finite(text).filter(|value| *value > 0.0);
    let read = |text: &str| match text.strip_suffix('%') {
        Some(percent) => positive(percent).map(|p| Tolerance::Relative(p / 100.0)),
        None => positive(text).map(Tolerance::Absolute),
    };
    of_series(
        text,
        read,
        "write a number above 0 such as `12`, or a share such as `20%`",
    )
}

fn parse_risk(text: &str) -> Result<RiskTolerance, String> {
    let value = text.parse().map_err(|_| unit_range(text))?;
    RiskTolerance::new(value).map_err(|_| unit_range(text))
}

fn parse_probability(text: &str) -> Result<Probability, String> {
    let value = text.parse().map_err(|_| unit_range(text))?;
    Probability::new(value).map_err(|_| unit_range(text))
}

fn unit_range(text: &str) -> String {
    format!("`{text}` is no number from 0 to 1, such as `0.3`")
}

fn parse_sustain(text: &str) -> Result<Sustained, String> {
    let read = |text: &str| text.trim().parse::<u8>().ok();
    text.split_once('/')
        .and_then(|(k, n)| Some((read(k)?, read(n)?)))
        .filter(|(k, n)| 1 <= *k && k <= n && *n <= 64)
        .map(|(k, n)| Sustained { k, n })
        .ok_or_else(|| "write k/n with 1 <= k <= n <= 64, such as `3/5`".to_owned())
}

fn parse_act_on(text: &str) -> Result<ActOn, String> {
    ActOn::named(text).ok_or_else(|| "write `harm` or `band`".to_owned())
}

fn parse_when(text: &str) -> Result<When, String> {
    When::named(text).ok_or_else(|| "write `early` or `latest-safe`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_policy_are_checked_as_they_are_typed() {
        assert_eq!(parse_risk("0.3").map(RiskTolerance::get), Ok(0.3));
        assert_eq!(parse_probability("1").map(Probability::get), Ok(1.0));
        for wrong in ["1.1", "-0.1", "nan", "half", ""] {
            assert!(parse_risk(wrong).is_err(), "{wrong}");
            assert!(parse_probability(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_sustain("3/5"), Ok(Sustained { k: 3, n: 5 }));
        for wrong in ["3", "0/5", "6/5", "1/65", "3/", "a/b", "-1/5"] {
            assert!(parse_sustain(wrong).is_err(), "{wrong}");
        }
        let limits = |text: &str| parse_limits(text).map(|of| of.value);
        let (lower, upper) = (Some(-10.0), Some(5.0));
        assert_eq!(limits("-10,5"), Ok(Tolerance::Limits { lower, upper }));
        assert_eq!(
            limits("a=b= ,5"),
            Ok(Tolerance::Limits { lower: None, upper })
        );
        assert_eq!(
            parse_approved("a=b=4").map(|of| of.series),
            Ok(Some("a=b".to_owned()))
        );
        for wrong in ["5", "5,4", ",", "a,b", "1,nan", ""] {
            assert!(parse_limits(wrong).is_err(), "{wrong}");
        }
        let tolerance = |text: &str| parse_tolerance(text).map(|of| of.value);
        assert_eq!(tolerance("20%"), Ok(Tolerance::Relative(0.2)));
        assert_eq!(tolerance("x=3"), Ok(Tolerance::Absolute(3.0)));
        for wrong in ["0", "-1", "x", "%", "inf"] {
            assert!(parse_tolerance(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_when("latest-safe"), Ok(When::LatestSafe));
        assert!(parse_when("late").unwrap_err().contains("`early`"));
        assert_eq!(parse_act_on("band"), Ok(ActOn::Band));
        assert!(parse_act_on("limit").unwrap_err().contains("`harm`"));
    }
}
