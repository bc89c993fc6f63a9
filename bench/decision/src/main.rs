//! `evenkeel-decision`: when does Evenkeel act, and how often is it wrong? Itself at five risk tolerances and
//! what people use now, on the same seeded scenarios.
//!
//! Evenkeel runs with its default policy through its own replay; of a scenario it is told the sampling period,
//! the horizon, limits and severities, nothing else. Each alternative is tuned to its best on the training
//! half (even seeds) and everything is measured on the testing half (odd seeds). Definitions of what is measured
//! are in [`score`], [`outcome`] and [`reliability`], those of the alternatives in [`detector`], that of
//! acting on them in [`actor`].
//!
//! Deterministic: the same options give the same figures, on any number of threads.

#![allow(clippy::print_stdout, clippy::print_stderr)] // The figures are the point.

mod actor;
mod case;
mod detector;
mod evaluate;
mod evenkeel;
mod jobs;
mod nab;
mod outcome;
mod record;
mod reliability;
mod report;
mod score;
#[cfg(test)]
mod testing;
mod tune;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use evenkeel_core::policy::{Policy, RiskTolerance};

use crate::case::Source;
use crate::detector::Kind;
use crate::report::Report;

#[derive(Debug, Parser)]
#[command(name = "evenkeel-decision", about, version)]
struct Options {
    /// Where the directory `nab` is.
    #[arg(long, default_value = "../shared/data")]
    data: PathBuf,
    /// How many scenarios, both halves together; rounded up to as many of each family.
    #[arg(long, default_value_t = 2080)]
    scenarios: usize,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed_offset: u64,
    /// How many threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Only these families; may be said several times.
    #[arg(long, value_delimiter = ',')]
    families: Vec<String>,
    /// Evenkeel alone, without the alternatives.
    #[arg(long)]
    alone: bool,
    /// No evaluation, but what Evenkeel decided on one scenario by default.
    #[arg(long, value_name = "FAMILY:SEED")]
    story: Option<String>,
    /// At this risk tolerance, for a story.
    #[arg(long, requires = "story")]
    risk_tolerance: Option<f64>,
    /// Print the JSON document instead of the tables.
    #[arg(long)]
    json: bool,
    /// Write tables, document and plots into this directory.
    #[arg(long)]
    results: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let directory = options.data.join("nab");
    if !directory.is_dir() {
        eprintln!(
            "no traces and no NAB score: no directory {} (--data DIR)",
            directory.display()
        );
    }
    let workers = usize::from(options.jobs);
    let source = Source::new(&options.families, &directory)?;
    if let Some(story) = &options.story {
        let case = source.make(source.named(story)?)?;
        let tolerance = match options.risk_tolerance {
            Some(number) => RiskTolerance::new(number)?,
            None => Policy::default().risk_tolerance,
        };
        print!("{}", evenkeel::story(&case, tolerance));
        return Ok(());
    }
    let ids = source.ids(options.scenarios, options.seed_offset);
    let alternatives: &[Kind] = if options.alone { &[] } else { &Kind::ALL };
    let contenders = evaluate::evaluate(
        &source,
        &ids,
        (&evaluate::TOLERANCES, alternatives),
        workers,
        &|what| eprintln!("{what}"),
    )?;
    let nab = if options.families.is_empty() {
        eprintln!("NAB");
        nab::run(&directory, workers)?
    } else {
        Vec::new()
    };
    let report = Report::new(
        ids.len(),
        options.seed_offset,
        source.families(),
        contenders,
        nab,
    );
    if let Some(directory) = &options.results {
        report.write(directory)?;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(())
}
