//! The admin port. Health and metrics answer whatever state the node is in, the admin API once it is open.
//!
//! | file | what it holds |
//! |---|---|
//! | `cluster` | what can be seen of the cluster |
//! | `metrics` | what Prometheus asks for |
//! | `orders` | what can be done to it |
//! | `problem` | every error answer of the admin API |

mod cluster;
mod metrics;
mod orders;
mod problem;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use weir_cluster::NotReady;

use crate::telemetry::Metrics;
use problem::{Code, Problem};

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

/// The phase and the node, shared between who moves them on and who is asked for them.
#[derive(Clone, Default)]
pub(crate) struct Readiness {
    phase: Arc<AtomicU8>,
    node: Arc<OnceLock<weir_cluster::Admin>>,
}

impl Readiness {
    /// Moves on.
    pub(crate) fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// From now on there is a node to ask.
    pub(crate) fn opened(&self, node: weir_cluster::Admin) {
        // Called once.
        let _ = self.node.set(node);
    }

    /// The node, once it is open.
    fn node(&self) -> Option<&weir_cluster::Admin> {
        self.node.get()
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
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

impl Admin {
    /// Whether requests should come here.
    fn is_ready(&self) -> bool {
        let node = self.readiness.node();
        self.readiness.phase() == Phase::Ready && node.is_some_and(|node| node.is_ready().is_ok())
    }
}

/// `/livez`, `/readyz`, `/metrics` and `/v1/cluster`.
pub(crate) fn router(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::render))
        .merge(cluster::routes())
        .merge(orders::routes())
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "reads are GET and orders are POST; README.md has the list",
            )
        })
        .fallback(async || Problem::new(Code::UnknownPath, "there are /livez, /readyz, /metrics and /v1/cluster"))
        .with_state(Admin { readiness, metrics })
}

/// The process works: it answers.
async fn livez() -> Response {
    text(StatusCode::OK, "alive\n")
}

/// Whether requests should come here.
async fn readyz(State(admin): State<Admin>) -> Response {
    match (admin.readiness.phase(), admin.readiness.node()) {
        (Phase::Ready, Some(node)) => match node.is_ready() {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(NotReady::TakenOut) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", NotReady::TakenOut)),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("starting: {reason}\n")),
        },
        (Phase::Starting | Phase::Ready, _) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "starting: the node recovers, or waits for the others\n",
        ),
        (Phase::Draining, _) => text(StatusCode::SERVICE_UNAVAILABLE, "draining: the process ends\n"),
    }
}

fn text(status: StatusCode, text: impl IntoResponse) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}
