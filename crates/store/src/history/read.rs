//! Reading points. A point is in exactly one place, the head, a raw block or a coarse step, so a read
//! puts together what all of them have in its range. Where raw points are gone, a read without a step
//! gives the means of five minutes, or of an hour.

use std::collections::BTreeMap;

use evenkeel_core::Timestamp;
use evenkeel_ports::{Aggregation, Point, Range, SeriesKey};

use super::HistoryFile;
use super::aggregate::Aggregate;
use super::block::{self, Block, Tier};
use super::bytes::RawPoint;
use crate::fault::Fault;

/// `from` inclusive to `until` exclusive, in milliseconds.
#[derive(Clone, Copy)]
struct Span {
    from: i64,
    until: i64,
}

impl Span {
    fn contains(self, at: i64) -> bool {
        self.from <= at && at < self.until
    }
}

impl HistoryFile {
    /// See `History::range`.
    pub(super) fn range(&self, key: &SeriesKey, range: Range) -> Result<Vec<Point>, Fault> {
        let span = Span {
            from: range.from.as_millis(),
            until: range.until.as_millis(),
        };
        let Some(series) = self.catalogue.get(key) else {
            return Ok(Vec::new());
        };
        match range.step {
            None => self.every_point(series, span),
            Some((step, aggregation)) => {
                let step_ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
                if step_ms == 0 {
                    return Err(Fault::Refused(
                        "a step has to be at least 1 ms long".to_owned(),
                    ));
                }
                self.steps(series, span, step_ms, aggregation)
            }
        }
    }

    /// See `History::latest`.
    pub(super) fn latest(&self, key: &SeriesKey) -> Result<Option<Point>, Fault> {
        let Some(series) = self.catalogue.get(key) else {
            return Ok(None);
        };
        let mut latest = self.head.latest(series);
        for tier in [Tier::Raw, Tier::FiveMinutes, Tier::Hour] {
            let already = latest.is_some_and(|(at, _)| {
                tier != Tier::Raw || self.catalogue.sealed_until(series) < Some(at)
            });
            if already {
                break;
            }
            if let Some(block) = block::newest(&self.database.connection, series, tier)? {
                let sealed = block.aggregate()?;
                if latest.is_none_or(|(at, _)| at < sealed.last_at) {
                    latest = Some((sealed.last_at, sealed.last));
                }
            }
        }
        Ok(latest.map(point))
    }

    fn every_point(&self, series: i64, span: Span) -> Result<Vec<Point>, Fault> {
        let mut points: Vec<RawPoint> = Vec::new();
        for tier in [Tier::Hour, Tier::FiveMinutes] {
            for block in self.blocks(series, tier, span)? {
                points.extend(
                    block
                        .steps()?
                        .iter()
                        .map(|step| (step.last_at, step.mean())),
                );
            }
        }
        for block in self.blocks(series, Tier::Raw, span)? {
            points.extend(block.points()?);
        }
        points.extend(self.head.points(series));
        points.retain(|(at, _)| span.contains(*at));
        // Cheap where they are in order already, as they are but for points that came late.
        points.sort_by_key(|point| point.0);
        Ok(points.into_iter().map(point).collect())
    }

    fn steps(
        &self,
        series: i64,
        span: Span,
        step_ms: u64,
        aggregation: Aggregation,
    ) -> Result<Vec<Point>, Fault> {
        let mut steps = Steps {
            span,
            step_ms,
            found: BTreeMap::new(),
        };
        for tier in [Tier::Hour, Tier::FiveMinutes] {
            for block in self.blocks(series, tier, span)? {
                if steps.holds_all_of(&block) {
                    steps.add(&block.aggregate()?);
                } else {
                    block.steps()?.iter().for_each(|step| steps.add(step));
                }
            }
        }
        for block in self.blocks(series, Tier::Raw, span)? {
            if steps.holds_all_of(&block) {
                steps.add(&block.aggregate()?);
            } else {
                let points = block.points()?;
                points
                    .iter()
                    .for_each(|point| steps.add(&Aggregate::of(*point)));
            }
        }
        for point in self.head.points(series) {
            steps.add(&Aggregate::of(point));
        }
        Ok(steps.into_points(aggregation))
    }

    fn blocks(&self, series: i64, tier: Tier, span: Span) -> Result<Vec<Block>, Fault> {
        block::load(
            &self.database.connection,
            series,
            tier,
            span.from,
            span.until,
        )
    }
}

/// The steps of a query that have points, by their number counted from the start of the span.
struct Steps {
    span: Span,
    step_ms: u64,
    found: BTreeMap<u64, Aggregate>,
}

impl Steps {
    fn index(&self, at: i64) -> u64 {
        // No instant of the span is before its start, so the wrapped difference is the true one.
        at.wrapping_sub(self.span.from).cast_unsigned() / self.step_ms
    }

    /// Whether one step of the span has every point of `block` in it.
    fn holds_all_of(&self, block: &Block) -> bool {
        self.span.contains(block.first)
            && self.span.contains(block.last)
            && self.index(block.first) == self.index(block.last)
    }

    fn add(&mut self, one: &Aggregate) {
        if self.span.contains(one.last_at) {
            let index = self.index(one.last_at);
            self.found
                .entry(index)
                .and_modify(|step| step.merge(one))
                .or_insert(*one);
        }
    }

    fn into_points(self, aggregation: Aggregation) -> Vec<Point> {
        let start = |index: u64| {
            let offset = (index * self.step_ms).cast_signed();
            self.span.from.wrapping_add(offset)
        };
        let steps = self.found.iter();
        steps
            .map(|(index, step)| point((start(*index), step.get(aggregation))))
            .collect()
    }
}

fn point((at, value): RawPoint) -> Point {
    Point {
        at: Timestamp::from_millis(at),
        value,
    }
}
