//! What the controller tells over HTTP: whether it lives, whether it is ready, and its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::Instant;

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

/// What is still to be listed before work begins.
fn not_listed(world: &World) -> Response {
    let words = ["the first listings are not complete".to_owned()].into_iter().chain(world.unlisted.words());
    (StatusCode::SERVICE_UNAVAILABLE, lines(words)).into_response()
}

async fn ready(State(world): State<Arc<World>>) -> Response {
    if !world.progress.started.load(Ordering::Acquire) {
        return not_listed(&world);
    }
    if !world.cluster.reachable() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the API server cannot be reached\n").into_response();
    }
    // A standby has not asked yet.
    let refused = world.unlisted.has(&world.namespace);
    let (code, words) = match readiness(world.leadership.standing().as_ref(), refused, Instant::now()) {
        Ok(words) => (StatusCode::OK, words),
        Err(words) => (StatusCode::SERVICE_UNAVAILABLE, words),
    };
    // Another namespace that is refused keeps nobody from work.
    (code, lines([words].into_iter().chain(world.unlisted.words()))).into_response()
}

fn lines(words: impl Iterator<Item = String>) -> String {
    words.map(|line| line + "\n").collect()
}

/// Whether this controller works or stands by as it should, and in which words. `refused` are the Applications of our own
/// namespace.
fn readiness(standing: Option<&Standing>, refused: bool, now: Instant) -> Result<String, String> {
    match standing {
        _ if refused => Err("the Applications of the controller's own namespace cannot be listed".to_owned()),
        None => Ok("ok".to_owned()),
        Some(Standing::Leading(until)) if now < *until => Ok("ok".to_owned()),
        Some(Standing::Leading(_)) => {
            Err("the Lease was not renewed in time: nothing is written until it is".to_owned())
        }
        Some(Standing::Standby(words)) => Ok(format!("ok, {words}")),
        Some(Standing::Paused(words)) => Err(words.to_string()),
        Some(Standing::Starting) => Err("the Lease has not been read yet".to_owned()),
        Some(Standing::Lost(holder)) => {
            Err(format!("the Lease went to '{}': this controller ends", holder.escape_debug()))
        }
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

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::*;

    #[test]
    fn who_may_not_write_is_not_ready() {
        let now = Instant::now();
        let rows = [
            ("without an election", None, true),
            ("leading", Some(Standing::Leading(now + Duration::from_secs(1))), true),
            ("leading until now", Some(Standing::Leading(now)), false),
            ("standing by", Some(Standing::Standby("who".into())), true),
            ("paused", Some(Standing::Paused("why".into())), false),
            ("starting", Some(Standing::Starting), false),
            ("lost", Some(Standing::Lost("who".into())), false),
        ];
        for (what, standing, ready) in rows {
            assert_eq!(readiness(standing.as_ref(), false, now).is_ok(), ready, "{what}");
            assert!(readiness(standing.as_ref(), true, now).is_err(), "{what}, without its own namespace");
        }
    }
}
