//! `backtest`: which series, which models, how they are evaluated.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::span::{Moment, parse_moment, parse_span};

/// No horizon is further away.
const HORIZON_MAX: u64 = 10_000;

/// `backtest`
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["csv", "m4", "resource"]))]
pub struct BacktestArgs {
    /// Files of `timestamp,value` (the series is named after the file) or `series,timestamp,value`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub csv: Vec<PathBuf>,
    /// The two files of an M4 data set, a row per series: id, values...
    #[arg(long, num_args = 2, value_names = ["TRAIN", "TEST"])]
    pub m4: Option<Vec<PathBuf>>,
    /// What the daemon stored of this resource: its numbers
    #[arg(long, value_name = "NAME")]
    pub resource: Option<String>,
    /// Only this property of it
    #[arg(long, value_name = "PATH", requires = "resource")]
    pub property: Option<String>,
    /// Its history from when on: `90s`, `1h`, `7d` ago, or an instant
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = parse_moment)]
    pub since: Moment,
    /// Its history with one point per this time [default: every point]; of M4 files the time from one
    /// value to the next [default: 1h]
    #[arg(long, value_name = "SPAN", conflicts_with = "csv", value_parser = parse_span)]
    pub step: Option<Duration>,

    /// Length of the season in steps, `1` for none, `auto` to find it in each series; several by
    /// repeating it, the first of which scales the scores
    #[arg(long, value_name = "STEPS", default_value = "auto", value_parser = parse_season)]
    pub season: Vec<Season>,
    /// How far to forecast, in steps [default: 12; with --m4 what TEST has]
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..=HORIZON_MAX))]
    pub horizon: Option<u64>,
    /// The share that the interval is meant to hold
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = parse_level)]
    pub level: f64,
    /// Further intervals whose coverage is told, with its worst quarter
    #[arg(
        long,
        value_name = "SHARES",
        value_delimiter = ',',
        default_value = "0.90,0.99",
        value_parser = parse_level
    )]
    pub levels: Vec<f64>,
    /// Which models [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_model)]
    pub models: Vec<String>,
    /// For what is random: the same seed gives the same scores
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Training steps of the network, where a model with one is asked for
    #[arg(long, value_name = "N", default_value_t = evenkeel_forecast::backtest::global::STEPS, value_parser = clap::value_parser!(u64).range(1..))]
    pub train_steps: u64,

    /// Length of the first history, in steps [default: a quarter of the series, 24 at least]
    #[arg(long, value_name = "STEPS", conflicts_with = "m4", value_parser = clap::value_parser!(u64).range(2..))]
    pub warm_up: Option<u64>,
    /// Steps from one forecast to the next
    #[arg(long, value_name = "STEPS", default_value_t = 1, conflicts_with = "m4", value_parser = clap::value_parser!(u64).range(1..))]
    pub stride: u64,
    /// Forecasts from one fit to the next
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "m4", value_parser = clap::value_parser!(u64).range(1..))]
    pub refit: u64,

    /// Only the first so many series
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Only this series; several by repeating it
    #[arg(long, value_name = "ID")]
    pub series: Vec<String>,
    /// How many series at once; changes no score
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// Write a plot of each series into this directory, as SVG
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// And the scores of each series
    #[arg(long, requires = "json")]
    pub each: bool,
}

/// A season as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// To be found in the series.
    Auto,
    /// So many steps; 1 is none.
    Steps(usize),
}

fn parse_season(text: &str) -> Result<Season, String> {
    if text == "auto" {
        return Ok(Season::Auto);
    }
    match text.parse() {
        Ok(steps @ 1..=1_000_000) => Ok(Season::Steps(steps)),
        Ok(_) | Err(_) => Err("write a number of steps such as `24`, or `auto`".to_owned()),
    }
}

/// The outermost quantiles that are forecast are those of 99 %.
fn parse_level(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(level) if (0.01..=0.99).contains(&level) => Ok(level),
        Ok(_) | Err(_) => Err("write a share from 0.01 to 0.99, such as `0.95`".to_owned()),
    }
}

fn parse_model(text: &str) -> Result<String, String> {
    let names = evenkeel_forecast::backtest::names();
    if names.iter().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!("there are: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_levels_and_models_are_checked_as_they_are_typed() {
        assert_eq!(parse_season("auto"), Ok(Season::Auto));
        assert_eq!(parse_season("24"), Ok(Season::Steps(24)));
        for wrong in ["0", "-1", "daily", "1e3", "99999999999999999999"] {
            assert!(parse_season(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_level("0.95"), Ok(0.95));
        for wrong in ["95", "1", "0", "NaN", "inf", ""] {
            assert!(parse_level(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_model("mixture"), Ok("mixture".to_owned()));
        assert!(parse_model("oracle").unwrap_err().contains("mixture"));
    }
}
