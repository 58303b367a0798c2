//! What the controller tells over HTTP: whether it lives, whether it is ready, and its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::election::Standing;
use crate::world::World;

/// How far the controller has come.
#[derive(Default)]
pub(crate) struct Progress {
    /// Applications, projects and their kinds have been listed once.
    pub(crate) started: AtomicBool,
}

/// The routes. `/health/startup` and `/health/live` tell of this process alone, so that an API server that is away gets no
/// controller restarted; `/health/ready` tells whether it works or could.
pub(crate) fn routes(world: Arc<World>) -> Router {
    Router::new()
        .route("/health/live", get(async || "ok\n"))
        .route("/health/startup", get(async || "ok\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(world)
}

async fn ready(State(world): State<Arc<World>>) -> Response {
    if !world.progress.started.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the first listings are not complete\n").into_response();
    }
    if !world.cluster.reachable() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the API server cannot be reached\n").into_response();
    }
    match world.leadership.standing() {
        Some(Standing::Standby(words)) => format!("ok, {words}\n").into_response(),
        Some(Standing::Paused(words)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{words}\n")).into_response(),
        _ => "ok\n".into_response(),
    }
}

async fn metrics(State(world): State<Arc<World>>) -> Response {
    match world.metrics.text(&world) {
        Ok(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
