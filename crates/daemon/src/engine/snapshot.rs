//! The latest view of a resource, for whoever reads: made anew after every message.

use std::collections::VecDeque;
use std::sync::Arc;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::{Input, decide};
use evenkeel_core::generation::Generation;
use evenkeel_core::guard::GuardCheck;
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::property::Probe;
use evenkeel_core::reason::Reason;
use evenkeel_core::state::State;
use evenkeel_core::watch::ForecastInsight;
use evenkeel_core::{PropertyPath, Timestamp};
use evenkeel_ports::{Rehearsal, ResourceRecord};

use super::ResourceTask;
use crate::settings::Settings;

/// How many deviations of the worst property are kept at hand.
const SPARK_POINTS: usize = 40;

/// The last deviations of every property that moved, for the sparkline in `status`.
#[derive(Clone, Debug, Default)]
pub struct Spark {
    recent: std::collections::BTreeMap<PropertyPath, VecDeque<f64>>,
}

impl Spark {
    pub(super) fn push(&mut self, outlooks: &[PropertyOutlook]) {
        self.recent
            .retain(|path, _| outlooks.iter().any(|o| o.path == *path));
        for outlook in outlooks {
            let known = self.recent.get_mut(&outlook.path);
            // What never moved needs no memory of its zeros.
            if known.is_none() && outlook.deviation == 0.0 {
                continue;
            }
            let points = self.recent.entry(outlook.path.clone()).or_default();
            if points.len() == SPARK_POINTS {
                points.pop_front();
            }
            points.push_back(outlook.deviation);
        }
    }

    /// The last deviations of a property, oldest first.
    pub fn of(&self, path: &PropertyPath) -> Vec<f64> {
        self.recent
            .get(path)
            .map(|points| points.iter().copied().collect())
            .unwrap_or_default()
    }
}

/// Everything a reader may want to know without asking the task.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// Where the resource stands.
    pub state: State,
    /// The baseline in force.
    pub baseline: Option<Arc<Baseline>>,
    /// The last rehearsal.
    pub rehearsal: Option<Rehearsal>,
    /// The clone's generations, oldest first.
    pub generations: Arc<Vec<Generation>>,
    /// When the last sync ended well.
    pub synced_at: Option<Timestamp>,
    /// Why the last sync failed, if it did.
    pub sync_problem: Option<String>,
    /// The last probe.
    pub probe: Option<Arc<Probe>>,
    /// Since when, and why, the resource cannot be probed.
    pub probe_lost: Option<(Timestamp, String)>,
    /// Every watched property, most urgent first.
    pub outlooks: Arc<Vec<PropertyOutlook>>,
    /// How the forecasts of the properties that breach or moved are made.
    pub insights: Arc<Vec<(PropertyPath, ForecastInsight)>>,
    /// The last deviations of the worst property, oldest first.
    pub recent: Vec<f64>,
    /// What would be decided now, in one sentence.
    pub sentence: String,
    /// What every guard says now, where something calls for a failover.
    pub guards: Vec<GuardCheck>,
}

impl Snapshot {
    /// Before the first probe.
    pub(super) fn first(settings: &Arc<Settings>, record: &ResourceRecord) -> Self {
        Self {
            settings: settings.clone(),
            state: record.state.clone(),
            baseline: record.baseline.clone().map(Arc::new),
            rehearsal: record.rehearsal.clone(),
            generations: Arc::default(),
            synced_at: None,
            sync_problem: None,
            probe: None,
            probe_lost: None,
            outlooks: Arc::default(),
            insights: Arc::default(),
            recent: Vec::new(),
            sentence: "not probed yet".to_owned(),
            guards: Vec::new(),
        }
    }

    /// The property that needs attention most, if any deviates or breaches.
    pub fn worst(&self) -> Option<&PropertyOutlook> {
        self.outlooks.first()
    }
}

impl ResourceTask {
    /// Shows the present to whoever reads.
    pub(super) fn publish(&mut self) {
        let (sentence, guards) = self.verdict();
        let last = self.snapshot.borrow().clone();
        let same_baseline = last.baseline.as_deref() == self.record.baseline.as_ref();
        let same_generations = *last.generations == self.generations;
        let moved = |o: &&PropertyOutlook| o.forecast.is_some();
        let insights = (self.outlooks.iter().filter(moved))
            .filter_map(|o| Some((o.path.clone(), self.watch.insight(&o.path)?)))
            .collect();
        let snapshot = Snapshot {
            settings: self.settings.clone(),
            state: self.record.state.clone(),
            baseline: if same_baseline {
                last.baseline.clone()
            } else {
                self.record.baseline.clone().map(Arc::new)
            },
            rehearsal: self.record.rehearsal.clone(),
            generations: if same_generations {
                last.generations.clone()
            } else {
                Arc::new(self.generations.clone())
            },
            synced_at: self.synced_at,
            sync_problem: self.sync_problem.clone(),
            probe: self.last_probe.clone(),
            probe_lost: self.probe_lost.clone(),
            recent: self
                .outlooks
                .first()
                .map(|worst| self.spark.of(&worst.path))
                .unwrap_or_default(),
            outlooks: Arc::clone(&self.outlooks),
            insights: Arc::new(insights),
            sentence,
            guards,
        };
        self.snapshot.send_replace(Arc::new(snapshot));
    }

    /// How a decision would come out now, without taking it.
    fn verdict(&self) -> (String, Vec<GuardCheck>) {
        if let Some((_, why)) = &self.probe_lost {
            return (format!("cannot be probed: {why}"), Vec::new());
        }
        if self.record.baseline.is_none() {
            return (
                "settling: the baseline is not taken yet".to_owned(),
                Vec::new(),
            );
        }
        if self
            .outlooks
            .iter()
            .all(|outlook| outlook.breach == Breach::None)
        {
            return (Reason::Quiet.sentence(), Vec::new());
        }
        let facts = self.facts();
        let input = Input::Assessed {
            outlooks: &self.outlooks,
            facts: &facts,
        };
        let now = self.world.now();
        let decision = decide(&self.settings.policy, &self.record.state, &input, now);
        (
            decision.explanation.reason.sentence(),
            decision.explanation.guards,
        )
    }
}
