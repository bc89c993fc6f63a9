//! Rehearsals: a choice is activated at a scratch place on a free port, asked for its health, and taken
//! down. Neither instance is touched.
//!
//! A process of a rehearsal that outlived its daemon is on record like any other, and is stopped by the
//! next start of the daemon or the next rehearsal, whichever comes first.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_clone::Substitutions;
use evenkeel_core::Timestamp;
use evenkeel_core::generation::Choice;
use evenkeel_ports::{DriverError, Rehearsal};

use super::driver::Inner;
use super::site::Site;
use super::supervise::{Adoption, Supervisor};
use crate::cloned_tree::Roots;

impl Inner {
    fn rehearsal_home(&self) -> PathBuf {
        self.state.join("rehearsal")
    }

    fn rehearsal_at(&self, address: SocketAddr) -> Supervisor {
        let home = self.rehearsal_home();
        let data = self.trees.has_data().then(|| home.join("data"));
        let site = Site {
            label: "rehearsal",
            resource: self.resource.clone(),
            roots: Roots {
                config: home.join("config"),
                data,
            },
            address,
            home,
        };
        Supervisor::of_rehearsal(site, Arc::clone(&self.config))
    }

    /// Stops and removes what an earlier rehearsal left; a warning if there was a process.
    pub(super) async fn clear_rehearsal(&self) -> Option<String> {
        let home = self.rehearsal_home();
        if !home.exists() {
            return None;
        }
        // Its address is not on record; the record and the marker lead to the process.
        let supervisor = self.rehearsal_at(SocketAddr::from(([127, 0, 0, 1], 0)));
        let Some(process) = supervisor.record.find() else {
            let _ = std::fs::remove_dir_all(home);
            return None;
        };
        match supervisor.stop(Adoption::Refused).await {
            Ok(()) => {
                let _ = std::fs::remove_dir_all(home);
                Some(format!(
                    "a rehearsal was left running as pid {}: stopped it",
                    process.pid
                ))
            }
            Err(why) => Some(format!("a rehearsal is left running: {why}")),
        }
    }

    pub(super) async fn rehearse(
        &self,
        choice: &Choice,
        now: Timestamp,
    ) -> Result<Rehearsal, DriverError> {
        if !self.can_rehearse() {
            return Err(DriverError::Misconfigured {
                what: "this service cannot be rehearsed".to_owned(),
                remedy: "give a `start` command that runs in the foreground, with supervise = \"evenkeel\" or \"systemd\"".to_owned(),
            });
        }
        if let Some(warning) = self.clear_rehearsal().await {
            tracing::warn!(warning);
        }
        let address = self.free_address().map_err(DriverError::without_effect)?;
        let supervisor = self.rehearsal_at(address);
        supervisor
            .site
            .make_home()
            .map_err(DriverError::without_effect)?;
        let rehearsed = self.rehearse_at(&supervisor, choice, now).await;
        let stopped = supervisor.stop(Adoption::Refused).await;
        // A process that could not be stopped stays on record, in the directory.
        stopped.map_err(|why| {
            DriverError::maybe_effect(format!("the rehearsal could not be ended: {why}"))
        })?;
        let home = self.rehearsal_home();
        if let Err(error) = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(home))
            .await
            .unwrap_or(Ok(()))
        {
            tracing::warn!(%error, "the scratch place of a rehearsal was not removed");
        }
        rehearsed
    }

    async fn rehearse_at(
        &self,
        supervisor: &Supervisor,
        choice: &Choice,
        now: Timestamp,
    ) -> Result<Rehearsal, DriverError> {
        let literals = self
            .scratch_literals(&supervisor.site)
            .map_err(DriverError::without_effect)?;
        self.trees
            .place_at(choice, supervisor.site.roots.clone(), literals)
            .await?;
        let began = self.clock.monotonic();
        let result = match supervisor.start(Some(choice), Adoption::Refused).await {
            Ok(()) => supervisor
                .wait_well()
                .await
                .map_err(super::supervise::NotWell::into_text),
            Err(error) => Err(error.to_string()),
        };
        let activation = self.clock.monotonic().saturating_sub(began);
        Ok(Rehearsal {
            at: now,
            choice: choice.clone(),
            activation,
            result,
        })
    }

    /// A port nobody has, on b's own host.
    fn free_address(&self) -> Result<SocketAddr, String> {
        let host = self.config.b.address.ip();
        let free = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr());
        free.map_err(|error| format!("no free port for the rehearsal on {host}: {error}"))
    }

    /// What instance b's texts are at the scratch place: its roots, its address, and its port also
    /// where it stands alone or in a text of the user's.
    fn scratch_literals(&self, site: &Site) -> Result<Vec<(String, String)>, String> {
        let text = |path: &std::path::Path| path.to_string_lossy().trim_end_matches('/').to_owned();
        let b = &self.config.b;
        let mut moves = vec![
            (text(&b.config), text(&site.roots.config)),
            (b.address.to_string(), site.address.to_string()),
            (
                b.address.port().to_string(),
                site.address.port().to_string(),
            ),
        ];
        if let (Some(data), Some(scratch)) = (&b.data, &site.roots.data) {
            moves.push((text(data), text(scratch)));
        }
        let moves = Substitutions::new(moves).map_err(|error| error.to_string())?;
        let mut literals = Vec::new();
        for (a_text, b_text) in self.trees.literals() {
            let moved = moves.localise(std::path::Path::new("substitute"), b_text.as_bytes());
            let moved = moved.map_err(|error| error.to_string())?;
            literals.push((
                a_text.clone(),
                String::from_utf8(moved).map_err(|error| error.to_string())?,
            ));
        }
        Ok(literals)
    }
}
