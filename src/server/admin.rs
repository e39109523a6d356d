//! The admin port: health and metrics. Nothing here needs the streams, so it answers whatever state they are in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::telemetry::Metrics;

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The storage recovers.
    Starting,
    /// Requests are served.
    Ready,
    /// Nothing more is accepted, what is in flight finishes.
    Draining,
}

/// The phase, shared between who moves it on and who is asked for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Moves on.
    pub(crate) fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    metrics: Metrics,
}

/// `/livez`, `/readyz` and `/metrics`.
pub(crate) fn router(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .fallback(async || text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n"))
        .with_state(Admin { readiness, metrics })
}

/// The process works: it answers.
async fn livez() -> Response {
    text(StatusCode::OK, "alive\n")
}

/// Whether requests should come here.
async fn readyz(State(admin): State<Admin>) -> Response {
    match admin.readiness.get() {
        Phase::Ready => text(StatusCode::OK, "ready\n"),
        Phase::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting: the storage recovers\n"),
        Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining: the process ends\n"),
    }
}

async fn render(State(admin): State<Admin>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, admin.metrics.render()).into_response()
}

fn text(status: StatusCode, text: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readyz_follows_the_phase() {
        let readiness = Readiness::default();
        let metrics = Metrics::install().unwrap();
        let admin = Admin {
            readiness: readiness.clone(),
            metrics,
        };
        let status = async || readyz(State(admin.clone())).await.status();
        assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
        readiness.set(Phase::Ready);
        assert_eq!(status().await, StatusCode::OK);
        readiness.set(Phase::Draining);
        assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
    }
}
