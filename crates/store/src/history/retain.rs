//! Retention: what is past its age in one tier is summed up into the next coarser one, and leaves the
//! coarsest for good. Planning and doing are one computation; doing also writes what it came to.
//!
//! All cuts are at full hours, so no step of any tier is ever cut in two: what is kept is at most one
//! hour more than the policy says. A coarser tier is kept at least as long as a finer one.

use std::collections::BTreeMap;

use evenkeel_core::Timestamp;
use evenkeel_ports::{RetentionPlan, RetentionPolicy};
use rusqlite::{Connection, params};

use super::HistoryFile;
use super::aggregate::Aggregate;
use super::block::{self, HOUR_MS, ROWS_FULL, Tier};
use super::bytes::RawPoint;
use super::{changes, forecasts};
use crate::fault::Fault;

/// The instants before which each kind of thing is past its age.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts {
    raw: i64,
    five_minutes: i64,
    hour: i64,
    records: i64,
}

impl Cuts {
    /// As `policy` has it at `now`.
    pub(crate) fn new(policy: &RetentionPolicy, now: Timestamp) -> Self {
        let full_hour = |kept_for| {
            let at = now.before(kept_for).as_millis();
            at.div_euclid(HOUR_MS).saturating_mul(HOUR_MS)
        };
        let five_minutes = policy.five_minutes.max(policy.raw);
        Self {
            raw: full_hour(policy.raw),
            five_minutes: full_hour(five_minutes),
            hour: full_hour(policy.hour.max(five_minutes)),
            records: now.before(policy.changes).as_millis(),
        }
    }
}

/// What is to be done with one series.
#[derive(Debug, Default)]
struct Work {
    /// Blocks that go.
    gone: Vec<i64>,
    /// What of them stays, by tier.
    raw: Vec<RawPoint>,
    five_minutes: Vec<Aggregate>,
    hour: Vec<Aggregate>,
    /// New steps, by their start.
    new_five_minutes: BTreeMap<i64, Aggregate>,
    new_hour: BTreeMap<i64, Aggregate>,
    raw_removed: u64,
    coarse_removed: u64,
}

impl Work {
    /// Works out what is to be done with a series; `head` is what of it is not sealed.
    fn out(
        connection: &Connection,
        series: i64,
        head: &[RawPoint],
        cuts: &Cuts,
    ) -> Result<Self, Fault> {
        let mut work = Self::default();
        let mut old: Vec<RawPoint> =
            (head.iter().filter(|point| point.0 < cuts.raw).copied()).collect();
        for block in block::load(connection, series, Tier::Raw, i64::MIN, cuts.raw)? {
            let points = block.points()?;
            let (past, kept): (Vec<RawPoint>, Vec<RawPoint>) =
                points.into_iter().partition(|p| p.0 < cuts.raw);
            old.extend(past);
            work.raw.extend(kept);
            work.gone.push(block.id);
        }
        work.raw_removed = old.len() as u64;
        // In order of time, so that sums come out the same whichever block a point is in.
        old.sort_by_key(|point| point.0);
        for point in old {
            work.sum_up(Aggregate::of(point), cuts);
        }
        for block in block::load(
            connection,
            series,
            Tier::FiveMinutes,
            i64::MIN,
            cuts.five_minutes,
        )? {
            for step in block.steps()? {
                if step.last_at < cuts.five_minutes {
                    work.coarse_removed += 1;
                    work.sum_up(step, cuts);
                } else {
                    work.five_minutes.push(step);
                }
            }
            work.gone.push(block.id);
        }
        for block in block::load(connection, series, Tier::Hour, i64::MIN, cuts.hour)? {
            let steps = block.steps()?;
            let kept = steps.iter().filter(|step| step.last_at >= cuts.hour);
            work.hour.extend(kept.clone());
            work.coarse_removed += (steps.len() - kept.count()) as u64;
            work.gone.push(block.id);
        }
        Ok(work)
    }

    /// Takes `one` into the finest coarse tier that keeps things of its age, if any does.
    fn sum_up(&mut self, mut one: Aggregate, cuts: &Cuts) {
        let (tier, steps) = match one.last_at {
            at if at >= cuts.five_minutes => (Tier::FiveMinutes, &mut self.new_five_minutes),
            at if at >= cuts.hour => (Tier::Hour, &mut self.new_hour),
            _ => return,
        };
        // Of a step, the instant is its start. Things come in order of time, so the last one in wins.
        one.last_at = tier.step_start(one.last_at);
        steps
            .entry(one.last_at)
            .and_modify(|step| step.merge(&one))
            .or_insert(one);
    }

    fn add_to(&self, plan: &mut RetentionPlan) {
        plan.raw_points += self.raw_removed;
        plan.coarse_points += self.coarse_removed;
        plan.downsampled += (self.new_five_minutes.len() + self.new_hour.len()) as u64;
    }

    fn apply(&self, connection: &Connection, series: i64, cuts: &Cuts) -> Result<(), Fault> {
        for id in &self.gone {
            block::delete(connection, *id)?;
        }
        let mut kept = self.raw.clone();
        kept.sort_by_key(|point| point.0);
        block::insert_points(connection, series, &kept)?;
        block::insert_steps(connection, series, Tier::FiveMinutes, &self.five_minutes)?;
        block::insert_steps(connection, series, Tier::Hour, &self.hour)?;
        add_steps(
            connection,
            series,
            Tier::FiveMinutes,
            &self.new_five_minutes,
        )?;
        add_steps(connection, series, Tier::Hour, &self.new_hour)?;
        connection
            .prepare_cached("UPDATE series SET raw_from = max(raw_from, ?2) WHERE id = ?1")?
            .execute(params![series, cuts.raw])?;
        Ok(())
    }
}

/// Adds steps to a coarse tier, together with those of the tier's newest block while that is not full,
/// and of every block that they fall into.
fn add_steps(
    connection: &Connection,
    series: i64,
    tier: Tier,
    new: &BTreeMap<i64, Aggregate>,
) -> Result<(), Fault> {
    let Some((&first, _)) = new.first_key_value() else {
        return Ok(());
    };
    let mut touched = block::load(connection, series, tier, first, i64::MAX)?;
    if touched.is_empty() {
        touched.extend(block::newest(connection, series, tier)?);
    }
    let mut all = BTreeMap::new();
    for block in touched {
        let steps = block.steps()?;
        if block.last < first && steps.len() >= ROWS_FULL {
            continue;
        }
        all.extend(steps.into_iter().map(|step| (step.last_at, step)));
        block::delete(connection, block.id)?;
    }
    for (at, step) in new {
        all.entry(*at)
            .and_modify(|known: &mut Aggregate| known.merge(step))
            .or_insert(*step);
    }
    let all: Vec<Aggregate> = all.into_values().collect();
    block::insert_steps(connection, series, tier, &all)
}

/// The series with something past its age in a block.
fn series_with_old_blocks(connection: &Connection, cuts: &Cuts) -> Result<Vec<i64>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT series FROM block
         WHERE tier = 0 AND first < ?1 OR tier = 1 AND first < ?2 OR tier = 2 AND first < ?3",
    )?;
    let cuts = params![cuts.raw, cuts.five_minutes, cuts.hour];
    let rows = statement.query_map(cuts, |row| row.get(0))?;
    rows.map(|row| row.map_err(Fault::from)).collect()
}

impl HistoryFile {
    /// See `History::plan_retention`.
    pub(super) fn plan_retention(&self, cuts: &Cuts) -> Result<RetentionPlan, Fault> {
        let connection = &self.database.connection;
        let mut series = series_with_old_blocks(connection, cuts)?;
        series.extend(self.head.older_than(cuts.raw));
        series.sort_unstable();
        series.dedup();
        let mut plan = RetentionPlan {
            changes: changes::count_before(connection, cuts.records)?,
            forecasts: forecasts::count_before(connection, cuts.records)?,
            ..RetentionPlan::default()
        };
        for series in series {
            Work::out(connection, series, &self.head.points(series), cuts)?.add_to(&mut plan);
        }
        Ok(plan)
    }

    /// Seals what of the head is past its age, and says which series there is work on.
    pub(super) fn begin_retention(&mut self, cuts: &Cuts) -> Result<Vec<i64>, Fault> {
        let old = self.head.older_than(cuts.raw);
        if !old.is_empty() {
            self.seal(&old)?;
        }
        series_with_old_blocks(&self.database.connection, cuts)
    }

    /// Does the work on some series, in one transaction. A damaged block leaves its series as it is;
    /// the first such fault is returned beside what was done.
    pub(super) fn retain_series(
        &mut self,
        series: &[i64],
        cuts: &Cuts,
        removed: &mut RetentionPlan,
    ) -> Result<Option<Fault>, Fault> {
        let (done, damage) = self.database.write(|transaction| {
            let (mut done, mut damage) = (Vec::new(), None);
            for &series in series {
                match Work::out(transaction, series, &[], cuts) {
                    Ok(work) => {
                        work.apply(transaction, series, cuts)?;
                        done.push((series, work));
                    }
                    Err(fault @ Fault::Damaged { .. }) => {
                        tracing::warn!(?fault, "retention passed over a series");
                        damage = damage.or(Some(fault));
                    }
                    Err(fault) => return Err(fault),
                }
            }
            Ok((done, damage))
        })?;
        for (series, work) in done {
            self.catalogue.retained(series, cuts.raw);
            work.add_to(removed);
        }
        Ok(damage)
    }

    /// Removes old changes and forecasts, and gives the freed space back.
    pub(super) fn retain_records(
        &mut self,
        cuts: &Cuts,
        removed: &mut RetentionPlan,
    ) -> Result<(), Fault> {
        let (changes, forecasts) = self.database.write(|transaction| {
            let changes = changes::remove_before(transaction, cuts.records)?;
            let forecasts = forecasts::remove_before(transaction, cuts.records)?;
            Ok((changes, forecasts))
        })?;
        removed.changes += changes;
        removed.forecasts += forecasts;
        let mut statement = (self.database.connection).prepare("PRAGMA incremental_vacuum")?;
        let mut pages = statement.query([])?;
        // Each row stepped over is one page given back.
        while pages.next()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_coarser_tier_is_kept_at_least_as_long_as_a_finer_one() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let policy = RetentionPolicy {
            raw: hours(10),
            five_minutes: hours(2),
            hour: hours(5),
            changes: hours(1),
        };
        let cuts = Cuts::new(&policy, Timestamp::from_millis(20 * HOUR_MS + 1));
        assert_eq!(
            (cuts.raw, cuts.five_minutes, cuts.hour),
            (10 * HOUR_MS, 10 * HOUR_MS, 10 * HOUR_MS)
        );
        assert_eq!(cuts.records, 19 * HOUR_MS + 1);
    }
}
