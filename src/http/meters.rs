//! What is measured of every request. The handles are looked up once and kept: a lookup hashes the labels and copies
//! the status, which is too much to do for every append.

use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::Request;
use http::{Method, StatusCode};
use metrics::{Counter, Histogram};

use crate::router::STREAM_ROOT;

/// Tells the metrics recorder what is measured.
pub(crate) fn describe() {
    metrics::describe_counter!("weir_http_requests_total", "requests by operation and status");
    metrics::describe_histogram!(
        "weir_http_request_duration_seconds",
        metrics::Unit::Seconds,
        "time from a request's head to its answer's head"
    );
    metrics::describe_gauge!("weir_http_live_subscribers", "clients that wait, by live mode");
    metrics::describe_counter!("weir_http_sse_events_encoded_total", "SSE data events encoded");
    metrics::describe_counter!(
        "weir_http_sse_broadcasts_total",
        "SSE data events written to many clients at once"
    );
}

/// What a request is counted as. Never taken from what the client sent, so there are only so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Append,
    Delete,
    Head,
    Read,
    LongPoll,
    Sse,
    List,
    Preflight,
    Other,
}

/// The number of operations.
const OPERATIONS: usize = Operation::Other as usize + 1;

impl Operation {
    pub(crate) fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let is_stream = path.strip_prefix(STREAM_ROOT).is_some_and(|rest| rest.starts_with('/'));
        match (request.method(), is_stream) {
            (&Method::OPTIONS, _) => Self::Preflight,
            (&Method::GET, true) => Self::of_read(request.uri().query().unwrap_or_default()),
            (&Method::HEAD, true) => Self::Head,
            (&Method::PUT, true) => Self::Create,
            (&Method::POST, true) => Self::Append,
            (&Method::DELETE, true) => Self::Delete,
            (&Method::GET, false) if path == "/v1/streams" => Self::List,
            _ => Self::Other,
        }
    }

    fn of_read(query: &str) -> Self {
        match query.split('&').find_map(|pair| pair.strip_prefix("live=")) {
            Some("sse") => Self::Sse,
            Some("long-poll") => Self::LongPoll,
            _ => Self::Read,
        }
    }

    /// The value of the label `operation`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Append => "append",
            Self::Delete => "delete",
            Self::Head => "head",
            Self::Read => "read",
            Self::LongPoll => "long-poll",
            Self::Sse => "sse",
            Self::List => "list",
            Self::Preflight => "preflight",
            Self::Other => "other",
        }
    }
}

/// The statuses that answers have, in ascending order. One that is missing here is counted all the same, by a lookup.
const STATUSES: [u16; 19] = [
    200, 201, 204, 304, 400, 403, 404, 405, 408, 409, 410, 413, 414, 415, 429, 500, 501, 503, 507,
];

#[derive(Debug, Default)]
struct Meter {
    duration: OnceLock<Histogram>,
    answers: [OnceLock<Counter>; STATUSES.len()],
}

/// One router's meters. They report to the recorder that was there when they were first used.
#[derive(Debug, Default)]
pub(crate) struct Meters([Meter; OPERATIONS]);

impl Meters {
    /// Counts one answer.
    pub(crate) fn answered(&self, operation: Operation, status: StatusCode, elapsed: Duration) {
        let meter = &self.0[operation as usize];
        match STATUSES.binary_search(&status.as_u16()) {
            Ok(at) => meter.answers[at]
                .get_or_init(|| counter(operation, status))
                .increment(1),
            Err(_) => counter(operation, status).increment(1),
        }
        meter
            .duration
            .get_or_init(|| metrics::histogram!("weir_http_request_duration_seconds", "operation" => operation.label()))
            .record(elapsed);
    }
}

fn counter(operation: Operation, status: StatusCode) -> Counter {
    metrics::counter!(
        "weir_http_requests_total", "operation" => operation.label(), "status" => status.as_str().to_owned()
    )
}

#[cfg(test)]
mod tests {
    use super::STATUSES;
    use crate::problem::Code;

    #[test]
    fn the_statuses_are_in_order_and_hold_every_problem() {
        assert!(STATUSES.is_sorted());
        for code in Code::ALL {
            let status = code.row().0.as_u16();
            assert!(STATUSES.contains(&status), "{code:?}");
        }
    }
}
