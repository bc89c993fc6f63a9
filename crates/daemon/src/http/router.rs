//! The router: which handler answers which route. A test holds this table against the API's own.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use evenkeel_api::routes::{self, Route};

use super::AppState;
use super::extract::BODY_BYTES_MAX;
use super::handlers::{acting, baseline, clone, fleet, property, record};
use super::problem::{no_route, wrong_method};

type Handler = MethodRouter<Arc<AppState>>;

/// Every route with its handler, in the order of the API's table.
fn table() -> Vec<(Route, Handler)> {
    vec![
        (routes::HEALTH, get(fleet::health)),
        (routes::STATUS, get(fleet::status)),
        (routes::RESOURCE, get(fleet::resource)),
        (routes::PROPERTIES, get(property::properties)),
        (routes::BASELINE, get(baseline::baseline)),
        (routes::BASELINE_DIFF, get(baseline::diff)),
        (routes::BASELINE_HISTORY, get(baseline::history)),
        (routes::HISTORY, get(property::history)),
        (routes::CHANGES, get(property::changes)),
        (routes::FORECAST, get(property::forecast)),
        (routes::GENERATIONS, get(clone::generations)),
        (routes::GENERATION_DIFF, get(clone::diff)),
        (routes::EVENTS, get(record::events)),
        (routes::EVENT, get(record::event)),
        (routes::RUN, get(record::run)),
        (routes::AUDIT, get(record::audit)),
        (routes::AUDIT_VERIFY, get(record::audit_verify)),
        (routes::BASELINE_ACCEPT, post(acting::accept)),
        (routes::SYNC, post(clone::sync)),
        (routes::REHEARSE, post(clone::rehearse)),
        (routes::FAILOVER, post(acting::failover)),
        (routes::SWITCHOVER, post(acting::switchover)),
        (routes::FAILBACK, post(acting::failback)),
        (routes::REINSTATE, post(acting::reinstate)),
        (routes::APPROVE, post(acting::approve)),
        (routes::PAUSE, post(acting::pause)),
        (routes::RESUME, post(acting::resume)),
        (routes::JUDGE, post(acting::judge)),
        (routes::WINDOW, post(acting::window)),
        (routes::RELEASE, post(acting::release)),
    ]
}

/// The whole API.
pub(super) fn router(state: Arc<AppState>) -> Router {
    table()
        .into_iter()
        .fold(Router::new(), |router, (route, handler)| {
            router.route(route.template, handler)
        })
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_has_its_handler() {
        let routes: Vec<Route> = table().into_iter().map(|(route, _)| route).collect();
        assert_eq!(routes, routes::ALL);
    }
}
