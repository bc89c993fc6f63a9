//! What anybody can see of the daemon: everything the demonstration knows of it comes through its API.

use evenkeel_api::wire::{
    Event, EventQuery, ForecastQuery, ForecastView, Generation, ResourceDetail,
};
use evenkeel_api::{Client, ClientError};

use crate::scene::{PROPERTY, RESOURCE};

/// One look at the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// The resource.
    pub(crate) resource: ResourceDetail,
    /// The property that drifts; `None` while it is not known yet.
    pub(crate) forecast: Option<ForecastView>,
    /// The generations of the clone, newest first.
    pub(crate) generations: Vec<Generation>,
}

/// Looks at the daemon again and again.
#[derive(Debug)]
pub(crate) struct Witness {
    client: Client,
    last_event: String,
}

impl Witness {
    /// Looks at the daemon behind `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            last_event: "e0".to_owned(),
        }
    }

    /// For questions that are asked once.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// How it stands now.
    pub(crate) async fn look(&self) -> Result<Sight, ClientError> {
        let resource = self.client.resource(RESOURCE).await?;
        let query = ForecastQuery {
            property: PROPERTY.to_owned(),
        };
        let forecast = known(self.client.forecast(RESOURCE, &query).await)?;
        let generations = known(self.client.generations(RESOURCE).await)?;
        let generations = generations.map(|list| list.generations).unwrap_or_default();
        Ok(Sight {
            resource,
            forecast,
            generations,
        })
    }

    /// What happened since the last call, oldest first.
    pub(crate) async fn news(&mut self) -> Result<Vec<Event>, ClientError> {
        let query = EventQuery {
            after: Some(self.last_event.clone()),
            ..EventQuery::default()
        };
        let news = self.client.events(&query).await?.events;
        if let Some(last) = news.last() {
            self.last_event.clone_from(&last.id);
        }
        Ok(news)
    }
}

/// A daemon that has only just started says no to some questions; that is no failure.
fn known<A>(answer: Result<A, ClientError>) -> Result<Option<A>, ClientError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
