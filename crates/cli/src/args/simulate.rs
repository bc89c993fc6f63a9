//! `simulate`: what is replayed, by which policy, and what is told of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use evenkeel_core::policy::{Probability, RiskTolerance, When};

use super::span::parse_span;

/// `simulate`
#[derive(Clone, Debug, Args)]
#[command(
    group = ArgGroup::new("source").required(true).args(["scenario"]),
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
    /// How many of these at once; changes no answer [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Every notable decision, not only those that matter most
    #[arg(long)]
    pub all: bool,
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

fn parse_when(text: &str) -> Result<When, String> {
    match text {
        "early" => Ok(When::Early),
        "latest-safe" => Ok(When::LatestSafe),
        _ => Err("write `early` or `latest-safe`".to_owned()),
    }
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
        assert_eq!(parse_when("latest-safe"), Ok(When::LatestSafe));
        assert!(parse_when("late").unwrap_err().contains("`early`"));
    }
}
