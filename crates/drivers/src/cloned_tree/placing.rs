//! Writing: a generation's trees onto an instance, beside both, or back under a running service.

use std::path::{Path, PathBuf};

use evenkeel_clone::{Manner, Materialise, Substitutions, Target, TreeName};
use evenkeel_core::generation::Choice;
use evenkeel_core::{GenerationId, Instance};
use evenkeel_ports::{DriverError, FileChange, Reverted, StepKey};

use super::{ClonedTree, Inner, Roots, file_change, maybe_effect, substitutions, without_effect};

impl ClonedTree {
    /// Puts a choice in place on an instance that does not serve.
    pub(crate) async fn place(&self, choice: &Choice, on: Instance) -> Result<(), DriverError> {
        let choice = choice.clone();
        self.blocking(move |inner| inner.place(&choice, on)).await
    }

    /// Puts a choice in place somewhere else, with other texts for what differs.
    pub(crate) async fn place_at(
        &self,
        choice: &Choice,
        roots: Roots,
        literals: Vec<(String, String)>,
    ) -> Result<(), DriverError> {
        let choice = choice.clone();
        self.blocking(move |inner| {
            let substitutions = substitutions(&literals).map_err(DriverError::without_effect)?;
            inner.materialise(
                &inner.targets(&choice, &roots),
                &substitutions,
                Manner::Swap,
            )
        })
        .await
    }

    /// What a revert would change.
    pub(crate) async fn plan_revert(
        &self,
        instance: Instance,
        choice: &Choice,
    ) -> Result<Vec<FileChange>, DriverError> {
        let from = choice.config_from;
        self.blocking(move |inner| {
            let substitutions = inner.substitutions(instance)?;
            let targets = [inner.config_target(from, &inner.roots.of(instance).config)];
            let request = Materialise {
                targets: &targets,
                substitutions: &substitutions,
                manner: Manner::Swap,
            };
            let changes = inner.store()?.plan(&request).map_err(without_effect)?;
            Ok(changes.iter().map(file_change).collect())
        })
        .await
    }

    /// Puts the configuration back, keeping aside what is replaced.
    pub(crate) async fn revert(
        &self,
        instance: Instance,
        choice: &Choice,
        key: StepKey,
    ) -> Result<Reverted, DriverError> {
        let from = choice.config_from;
        self.blocking(move |inner| inner.revert(instance, from, key))
            .await
    }
}

impl Inner {
    fn config_target(&self, from: GenerationId, root: &Path) -> Target {
        Target {
            from,
            to: self.live(TreeName::Config, root),
        }
    }

    fn targets(&self, choice: &Choice, roots: &Roots) -> Vec<Target> {
        let mut targets = vec![self.config_target(choice.config_from, &roots.config)];
        targets.extend(self.data_target(choice, roots));
        targets
    }

    fn data_target(&self, choice: &Choice, roots: &Roots) -> Option<Target> {
        let to = self.live(TreeName::Data, roots.data.as_deref()?);
        Some(Target {
            from: choice.data_from,
            to,
        })
    }

    fn place(&self, choice: &Choice, on: Instance) -> Result<(), DriverError> {
        let substitutions = self.substitutions(on)?;
        let roots = self.roots.of(on);
        match on {
            Instance::B => {
                self.materialise(&self.targets(choice, roots), &substitutions, Manner::Swap)
            }
            Instance::A => {
                let aside = self.aside(&format!("a-{}-{}", choice.config_from, choice.data_from));
                let in_place = || Manner::InPlace {
                    aside: Some(aside.clone()),
                };
                self.materialise(
                    &[self.config_target(choice.config_from, &roots.config)],
                    &substitutions,
                    in_place(),
                )?;
                let Some(data) = self.data_target(choice, roots) else {
                    return Ok(());
                };
                self.place_data_on_a(choice, data, in_place())
            }
        }
    }

    /// Data that is on a already because Evenkeel put it there is in a generation, and need not be kept
    /// aside each time that a newer one follows. What the user's own service left there is, once.
    fn place_data_on_a(
        &self,
        choice: &Choice,
        data: Target,
        keeping: Manner,
    ) -> Result<(), DriverError> {
        let note = self.state.join("placed-on-a.json");
        let root = data.to.root.clone();
        let placed: Option<GenerationId> = std::fs::read(&note)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let is_evenkeels = placed.is_some_and(|id| {
            let live = self.live(TreeName::Data, &root);
            let compared = self
                .store()
                .ok()
                .map(|store| store.compare_with_live(id, &live, &Substitutions::default()));
            matches!(compared, Some(Ok(changes)) if changes.is_empty())
        });
        let manner = if is_evenkeels {
            Manner::InPlace { aside: None }
        } else {
            keeping
        };
        self.materialise(&[data], &Substitutions::default(), manner)?;
        crate::fencing::write_durably(&note, &choice.data_from)
            .map_err(|error| DriverError::maybe_effect(format!("{}: {error}", note.display())))
    }

    fn materialise(
        &self,
        targets: &[Target],
        substitutions: &Substitutions,
        manner: Manner,
    ) -> Result<(), DriverError> {
        for target in targets {
            if let Some(parent) = target.to.root.parent() {
                std::fs::create_dir_all(parent).map_err(|error| {
                    DriverError::without_effect(format!(
                        "cannot make {}: {error}",
                        parent.display()
                    ))
                })?;
            }
        }
        let request = Materialise {
            targets,
            substitutions,
            manner,
        };
        let done = self
            .store()?
            .materialise(&request, &|_| {})
            .map_err(maybe_effect)?;
        if let Some(skipped) = done
            .skipped
            .iter()
            .find(|skipped| !skipped.why.is_harmless())
        {
            return Err(DriverError::maybe_effect(format!(
                "{}/{}: {}",
                skipped.tree, skipped.path, skipped.why
            )));
        }
        Ok(())
    }

    fn revert(
        &self,
        instance: Instance,
        from: GenerationId,
        key: StepKey,
    ) -> Result<Reverted, DriverError> {
        let aside = self.aside(&format!("{instance}-{}", key.run));
        let substitutions = self.substitutions(instance)?;
        let targets = [self.config_target(from, &self.roots.of(instance).config)];
        let manner = Manner::InPlace {
            aside: Some(aside.clone()),
        };
        let request = Materialise {
            targets: &targets,
            substitutions: &substitutions,
            manner,
        };
        let done = self
            .store()?
            .materialise(&request, &|_| {})
            .map_err(maybe_effect)?;
        Ok(Reverted {
            changed: done.changes.iter().map(file_change).collect(),
            // Also on a repeat, which finds nothing left to replace.
            kept_aside: aside.is_dir().then_some(aside),
        })
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.state.join("aside").join(name)
    }
}
