//! Networks, as they stand.

use evenkeel_api::wire::{self, NetworkStage};

use super::count;
use crate::networks::{Networks, Stage, Status, Trained};

/// All of them, by kind.
pub(in crate::http) fn networks(networks: &Networks) -> Vec<wire::Network> {
    networks.status().into_iter().map(network).collect()
}

fn network(status: Status) -> wire::Network {
    let mut network = wire::Network {
        kind: status.kind,
        stage: NetworkStage::Off,
        series: None,
        series_needed: None,
        done: None,
        trained: status.trained.map(trained),
    };
    network.stage = match status.stage {
        Stage::Off => NetworkStage::Off,
        Stage::Waiting { series, needed } => {
            network.series = Some(count(series));
            network.series_needed = Some(count(needed));
            NetworkStage::Waiting
        }
        Stage::Training { done } => {
            network.done = Some(done);
            NetworkStage::Training
        }
        Stage::Ready => NetworkStage::Ready,
    };
    network
}

fn trained(trained: Trained) -> wire::TrainedNetwork {
    wire::TrainedNetwork {
        at: trained.at.to_string(),
        series: trained.on.series,
        values: trained.on.values,
        steps: trained.on.steps,
        validation_loss: f64::from(trained.validation_loss),
    }
}
