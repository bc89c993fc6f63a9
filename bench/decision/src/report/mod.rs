//! What came of the evaluation: as tables for people, as a JSON document, as plots.

mod aims;
mod plot;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::case::Group;
use crate::evaluate::{Contender, Who};
use crate::nab;
use crate::reliability::Reliability;
use crate::score::{Score, Summary};

pub(crate) use aims::Aim;

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenarios: usize,
    pub(crate) seed_offset: u64,
    pub(crate) families: Vec<FamilyName>,
    pub(crate) rows: Vec<Row>,
    pub(crate) nab: Vec<nab::Row>,
    pub(crate) aims: Vec<Aim>,
}

/// A family with its group.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FamilyName {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
}

/// One contender on the testing half.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) setting: String,
    pub(crate) who: Who,
    pub(crate) all: Summary,
    /// In the order of [`Group::ALL`].
    pub(crate) groups: Vec<Summary>,
    /// In the order of the families.
    pub(crate) families: Vec<Summary>,
    pub(crate) front: Vec<FrontPoint>,
    /// Of the probability to be beyond the limit within the horizon.
    pub(crate) limit: Option<Reliability>,
    pub(crate) limit_brier: Option<f64>,
    /// Resource by resource; not in the document, but in a file of its own.
    #[serde(skip)]
    pub(crate) scores: Vec<Score>,
    /// Evenkeel's confidence in the breaches it predicts, the triggers among them, and the harm after those.
    pub(crate) breaches: Option<Reliability>,
    pub(crate) triggers: Option<Reliability>,
    pub(crate) harm: Option<Reliability>,
}

/// A setting of a Pareto front.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FrontPoint {
    pub(crate) setting: String,
    pub(crate) summary: Summary,
}

impl Row {
    fn new(contender: Contender, families: &[FamilyName]) -> Self {
        let scores = &contender.scores;
        let of = |holds: &dyn Fn(&Score) -> bool| Summary::of(scores.iter().filter(|s| holds(s)));
        let groups = Group::ALL.map(|group| of(&|score| families[score.id.family].group == group));
        let per_family = (0..families.len()).map(|family| of(&|score| score.id.family == family));
        let believed = contender.believed.as_ref();
        Self {
            all: of(&|_| true),
            groups: groups.to_vec(),
            families: per_family.collect(),
            limit_brier: contender.limit.as_ref().and_then(Reliability::brier),
            breaches: believed.map(|b| b.breaches.clone()),
            triggers: believed.map(|b| b.triggers.clone()),
            harm: believed.map(|b| b.harm.clone()),
            front: (contender.front.into_iter())
                .map(|(setting, summary)| FrontPoint { setting, summary })
                .collect(),
            name: contender.name,
            setting: contender.setting,
            who: contender.who,
            limit: contender.limit,
            scores: contender.scores,
        }
    }

    fn is_evenkeel(&self) -> bool {
        match self.who {
            Who::Evenkeel { .. } => true,
            Who::Alternative(_) => false,
        }
    }

    fn is_default(&self) -> bool {
        match self.who {
            Who::Evenkeel { default, .. } => default,
            Who::Alternative(_) => false,
        }
    }

    fn of_group(&self, group: Group) -> Option<&Summary> {
        let place = Group::ALL.iter().position(|g| *g == group)?;
        self.groups.get(place)
    }
}

impl Report {
    pub(crate) fn new(
        scenarios: usize,
        seed_offset: u64,
        families: Vec<(&'static str, Group)>,
        contenders: Vec<Contender>,
        nab: Vec<nab::Row>,
    ) -> Self {
        let families: Vec<FamilyName> = families
            .into_iter()
            .map(|(name, group)| FamilyName { name, group })
            .collect();
        let rows: Vec<Row> = contenders
            .into_iter()
            .map(|c| Row::new(c, &families))
            .collect();
        Self {
            scenarios,
            seed_offset,
            aims: aims::judge(&rows),
            families,
            rows,
            nab,
        }
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        table::text(self)
    }

    /// Writes tables, document and plots into `directory`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        let files = [
            ("decision.txt", self.text()),
            ("decision.json", serde_json::to_string_pretty(self)?),
            ("each.csv", table::each(self)),
            ("recall.svg", plot::recall(self)),
            ("reliability.svg", plot::reliability(self)),
        ];
        for (name, content) in files {
            let path = directory.join(name);
            fs::write(&path, content).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}
