//! What is said of a back-test: one JSON document for programs, tables for people.

use evenkeel_forecast::backtest::{Evaluation, LevelCoverage};
use evenkeel_forecast::metrics::{Coverage, MeanScores, Scores, mean};
use serde::{Serialize, Serializer};

use super::input::Skipped;
use super::run::Outcome;
use crate::render::text::count;
use crate::render::{Column, Page, Paint, Painted, Style, Table};

/// How many of those left out are named on the page.
const NAMED: usize = 5;

/// A JSON object whose members stay in order.
#[derive(Clone, Debug)]
pub(super) struct Members<T>(pub(super) Vec<(String, T)>);

impl<T: Serialize> Serialize for Members<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    pub(super) models: Members<ModelReport>,
    pub(super) settings: Settings,
    /// How many series were evaluated.
    pub(super) series: usize,
    /// Which were left out before that, and why.
    pub(super) skipped: Vec<Skipped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) each: Option<Vec<SeriesReport>>,
}

/// What the scores hang on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    /// `fixed-split` or `rolling`.
    pub(super) mode: &'static str,
    /// As typed: steps, or `auto`.
    pub(super) season: Vec<String>,
    /// `null`: as far as each series' test data go.
    pub(super) horizon: Option<usize>,
    pub(super) level: f64,
    pub(super) seed: u64,
    pub(super) jobs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rolling: Option<RollingSettings>,
}

/// Where the origins are.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RollingSettings {
    /// `null`: a quarter of each series.
    pub(super) warm_up: Option<usize>,
    pub(super) stride: usize,
    pub(super) refit: usize,
}

/// One model over all series, each weighing the same.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ModelReport {
    smape: Option<f64>,
    mase: Option<f64>,
    msis: Option<f64>,
    coverage: Option<f64>,
    pinball: Option<f64>,
    /// Time that the processor computed for the model.
    seconds_per_series: Option<f64>,
    /// How many series it was evaluated on.
    series: usize,
    /// How many of them do not vary, and so count in `smape` and `coverage` alone.
    unscaled: usize,
    /// On which series there is no score, and why.
    failed: Vec<Skipped>,
    levels: Members<LevelReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolling: Option<RollingReport>,
}

/// How well the intervals of one level held.
#[derive(Clone, Debug, Serialize)]
struct LevelReport {
    coverage: Option<f64>,
    /// The quarter of a series whose coverage lies furthest from the level; rolling only.
    #[serde(skip_serializing_if = "Option::is_none")]
    worst_quarter: Option<WorstQuarter>,
}

/// A quarter of the origins of a series.
#[derive(Clone, Debug, Serialize)]
struct WorstQuarter {
    series: String,
    /// From 1.
    quarter: usize,
    coverage: f64,
    /// Its distance from the level.
    deviation: f64,
}

/// What only many origins can tell.
#[derive(Clone, Debug, Serialize)]
struct RollingReport {
    /// Forecasts made, over all series.
    origins: usize,
    levels: Members<LevelReport>,
    /// From 1 on.
    horizons: Members<HorizonReport>,
}

#[derive(Clone, Debug, Serialize)]
struct HorizonReport {
    smape: Option<f64>,
    mase: Option<f64>,
    pinball: Option<f64>,
    /// By level.
    coverage: Members<Option<f64>>,
}

/// One series, with what each model made of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SeriesReport {
    series: String,
    seasons: Vec<usize>,
    models: Members<SeriesScores>,
}

/// The scores of one model on one series, or why there are none.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum SeriesScores {
    Done {
        model: String,
        smape: f64,
        mase: Option<f64>,
        msis: Option<f64>,
        coverage: f64,
        pinball: Option<f64>,
        seconds: f64,
        points: u64,
        /// By level, the coverage of each quarter of the origins.
        quarters: Members<Vec<Option<f64>>>,
    },
    Failed {
        failed: String,
    },
}

/// A level as a name: `0.90`, `0.95`, `0.999`.
fn level_name(level: f64) -> String {
    let short = format!("{level:.2}");
    if short.parse() == Ok(level) {
        short
    } else {
        level.to_string()
    }
}

/// One report for each of `names`, which are those of the outcomes' models in order.
pub(super) fn models(names: &[String], outcomes: &[Outcome], rolled: bool) -> Members<ModelReport> {
    let report = |(number, name): (usize, &String)| {
        let mut done: Vec<(&str, &Evaluation)> = Vec::new();
        let mut failed = Vec::new();
        for outcome in outcomes {
            match outcome.models.get(number) {
                Some(Ok(evaluation)) => done.push((&outcome.name, evaluation)),
                Some(Err(why)) => failed.push(Skipped {
                    series: outcome.name.clone(),
                    why: why.clone(),
                }),
                None => {}
            }
        }
        (name.clone(), model(&done, failed, rolled))
    };
    Members(names.iter().enumerate().map(report).collect())
}

fn model(done: &[(&str, &Evaluation)], failed: Vec<Skipped>, rolled: bool) -> ModelReport {
    let scores: Vec<Scores> = done.iter().map(|(_, e)| e.scores).collect();
    let means = MeanScores::of(&scores);
    let levels = levels(done, rolled);
    ModelReport {
        smape: means.smape,
        mase: means.mase,
        msis: means.msis,
        coverage: means.coverage,
        pinball: means.pinball,
        seconds_per_series: mean(done.iter().map(|(_, e)| e.elapsed.as_secs_f64())),
        series: means.series,
        unscaled: means.unscaled,
        failed,
        rolling: rolled.then(|| RollingReport {
            origins: done.iter().map(|(_, e)| e.origins).sum(),
            levels: levels.clone(),
            horizons: horizons(done),
        }),
        levels,
    }
}

/// One report per level that was asked for; every evaluation has the same.
fn levels(done: &[(&str, &Evaluation)], rolled: bool) -> Members<LevelReport> {
    let asked = done.first().map_or(&[][..], |(_, e)| &e.levels);
    let report = |(number, level): (usize, &LevelCoverage)| {
        let each = || {
            done.iter()
                .filter_map(move |(name, e)| Some((*name, e.levels.get(number)?)))
        };
        let worst = each()
            .flat_map(|(name, level)| quarters(name, level))
            .max_by(|a, b| a.deviation.total_cmp(&b.deviation));
        let report = LevelReport {
            coverage: mean(each().filter_map(|(_, level)| level.overall.share())),
            worst_quarter: worst.filter(|_| rolled),
        };
        (level_name(level.level), report)
    };
    Members(asked.iter().enumerate().map(report).collect())
}

fn quarters<'a>(series: &'a str, level: &'a LevelCoverage) -> impl Iterator<Item = WorstQuarter> {
    let shares = level.quarters.iter().map(Coverage::share).zip(1..);
    shares.filter_map(move |(share, quarter)| {
        Some(WorstQuarter {
            series: series.to_owned(),
            quarter,
            coverage: share?,
            deviation: (share? - level.level).abs(),
        })
    })
}

fn horizons(done: &[(&str, &Evaluation)]) -> Members<HorizonReport> {
    let first = done.first().map(|(_, e)| *e);
    let reach = first.map_or(0, |e| e.horizons.len());
    let report = |ahead: usize| {
        let scores: Vec<Scores> = done
            .iter()
            .filter_map(|(_, e)| e.horizons.get(ahead).copied().flatten())
            .collect();
        let means = MeanScores::of(&scores);
        let level = |(number, level): (usize, &LevelCoverage)| {
            let shares = done
                .iter()
                .filter_map(|(_, e)| e.levels.get(number)?.horizons.get(ahead)?.share());
            (level_name(level.level), mean(shares))
        };
        let levels = first.map_or(&[][..], |e| &e.levels);
        HorizonReport {
            smape: means.smape,
            mase: means.mase,
            pinball: means.pinball,
            coverage: Members(levels.iter().enumerate().map(level).collect()),
        }
    };
    Members(
        (0..reach)
            .map(|ahead| ((ahead + 1).to_string(), report(ahead)))
            .collect(),
    )
}

/// One report for each series.
pub(super) fn each(names: &[String], outcomes: &[Outcome]) -> Vec<SeriesReport> {
    let scores = |result: &Result<Evaluation, String>| match result {
        Ok(e) => SeriesScores::Done {
            model: e.model.clone(),
            smape: e.scores.smape,
            mase: e.scores.mase,
            msis: e.scores.msis,
            coverage: e.scores.coverage,
            pinball: e.scores.pinball,
            seconds: e.elapsed.as_secs_f64(),
            points: e.scores.points,
            quarters: Members(
                e.levels
                    .iter()
                    .map(|level| {
                        let shares = level.quarters.iter().map(Coverage::share).collect();
                        (level_name(level.level), shares)
                    })
                    .collect(),
            ),
        },
        Err(why) => SeriesScores::Failed {
            failed: why.clone(),
        },
    };
    let report = |outcome: &Outcome| SeriesReport {
        series: outcome.name.clone(),
        seasons: outcome.seasons.clone(),
        models: Members(
            names
                .iter()
                .cloned()
                .zip(outcome.models.iter().map(scores))
                .collect(),
        ),
    };
    outcomes.iter().map(report).collect()
}

/// The tables.
pub(super) fn page(document: &Document, style: Style) -> String {
    let mut page = Page::new(style);
    page.line(title(document));
    page.gap();
    page.table(&scores_table(document), 2);
    if document.settings.rolling.is_some() {
        page.heading("Coverage, and its worst quarter of a series");
        page.table(&levels_table(document), 2);
    }
    let failed = document.models.0.iter().flat_map(|(name, model)| {
        let told = move |f: &Skipped| (format!("{name} on {}", f.series), f.why.clone());
        model.failed.iter().map(told)
    });
    let left_out: Vec<(String, String)> = document
        .skipped
        .iter()
        .map(|skipped| (skipped.series.clone(), skipped.why.clone()))
        .chain(failed)
        .collect();
    if !left_out.is_empty() {
        page.heading("Left out");
        for (what, why) in left_out.iter().take(NAMED) {
            page.item(format!("{what}: {why}"));
        }
        if let more @ 1.. = left_out.len().saturating_sub(NAMED) {
            page.item(format!("and {more} more: `--json` names them"));
        }
    }
    page.finish()
}

fn title(document: &Document) -> Painted {
    let settings = &document.settings;
    let horizon = match settings.horizon {
        Some(horizon) => format!("horizon {horizon}"),
        None => "horizon as the test data".to_owned(),
    };
    let how = match &settings.rolling {
        Some(rolling) => format!(
            "rolling by {}, fitted every {}",
            rolling.stride,
            count(u64::try_from(rolling.refit).unwrap_or(u64::MAX), "forecast")
        ),
        None => "one split".to_owned(),
    };
    // Of `series` there is no plural to make.
    let what = format!("{} series", document.series);
    Painted::new(Paint::Bold, what).then(
        Paint::Plain,
        format!(
            ": {how}, season {}, {horizon}, {} % interval",
            settings.season.join(" and "),
            percent(settings.level)
        ),
    )
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    text.trim_end_matches(".0").to_owned()
}

fn scores_table(document: &Document) -> Table {
    let mut table = Table::new(&[
        Column::Left("MODEL"),
        Column::Right("SMAPE"),
        Column::Right("MASE"),
        Column::Right("MSIS"),
        Column::Right("COVERAGE"),
        Column::Right("PINBALL"),
        Column::Right("S/SERIES"),
        Column::Right("SERIES"),
    ]);
    for (name, model) in &document.models.0 {
        table.row([
            name.as_str().into(),
            decimals(model.smape, 2),
            decimals(model.mase, 3),
            decimals(model.msis, 2),
            decimals(model.coverage, 3),
            decimals(model.pinball, 4),
            decimals(model.seconds_per_series, 4),
            model.series.to_string().into(),
        ]);
    }
    table
}

fn levels_table(document: &Document) -> Table {
    let mut table = Table::new(&[
        Column::Left("MODEL"),
        Column::Right("INTERVAL"),
        Column::Right("COVERAGE"),
        Column::Right("WORST"),
        Column::Left("WHERE"),
    ]);
    for (name, model) in &document.models.0 {
        for (level, report) in &model.levels.0 {
            let worst = report.worst_quarter.as_ref();
            let place = worst.map(|w| format!("quarter {} of {}", w.quarter, w.series));
            table.row([
                name.as_str().into(),
                level.as_str().into(),
                decimals(report.coverage, 3),
                decimals(worst.map(|w| w.coverage), 3),
                place.unwrap_or_default().into(),
            ]);
        }
    }
    table
}

fn decimals(value: Option<f64>, digits: usize) -> Painted {
    match value {
        Some(value) if value.abs() < 1e7 => format!("{value:.digits$}").into(),
        Some(value) => format!("{value:.1e}").into(),
        None => Painted::new(Paint::Dim, "-"),
    }
}
