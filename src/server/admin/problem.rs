//! Every error answer of the admin API (RFC 9457), in the form that the clients' port has too.

use std::borrow::Cow;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use weir_cluster::meta::MetaError;
use weir_cluster::{AdminError, CommandError};

/// The stable kinds of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// The request comes from a web page, which gets no say here.
    CrossSite,
    /// An order that is not said to be JSON.
    NotJson,
    /// An order that says nothing understandable.
    InvalidOrder,
    /// Nothing is served there.
    UnknownPath,
    /// Not with this method.
    MethodNotAllowed,
    /// No such node, group or replica.
    Unknown,
    /// Against the cluster's rules, as things are.
    Refused,
    /// Not now.
    Unavailable,
}

/// How long to wait before another attempt: an election, more or less.
const RETRY_AFTER_SECONDS: u32 = 2;

impl Code {
    /// All of them, for the test that compares them with the README.
    #[cfg(test)]
    const ALL: [Self; 8] = [
        Self::CrossSite,
        Self::NotJson,
        Self::InvalidOrder,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::Unknown,
        Self::Refused,
        Self::Unavailable,
    ];

    const fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross-site", "Web pages may not give orders"),
            Self::NotJson => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "An order has Content-Type application/json",
            ),
            Self::InvalidOrder => (
                StatusCode::BAD_REQUEST,
                "invalid-order",
                "The order cannot be understood",
            ),
            Self::UnknownPath => (
                StatusCode::NOT_FOUND,
                "unknown-path",
                "Nothing is served under this path",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The method is not supported here",
            ),
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "unknown-member",
                "There is no such node, group or replica",
            ),
            Self::Refused => (StatusCode::CONFLICT, "refused", "The cluster refuses this"),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The cluster cannot do this now",
            ),
        }
    }
}

/// An error answer.
#[derive(Debug)]
pub(super) struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    /// All that is in the way, where that is known one by one.
    reasons: Vec<String>,
}

impl Problem {
    /// With a text for the person who reads it.
    pub(super) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            reasons: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.code.row();
        let mut document = json!({
            "type": format!("urn:weir:problem:{slug}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        if !self.reasons.is_empty() {
            document["reasons"] = json!(self.reasons);
        }
        let mut response = (status, document.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == Code::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let code = match &error {
            AdminError::Command(CommandError::Refused(refusal)) => return refusal.into(),
            AdminError::Command(CommandError::NoLeader) | AdminError::Unavailable(_) => Code::Unavailable,
            AdminError::Unknown(_) => Code::Unknown,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&MetaError> for Problem {
    fn from(refusal: &MetaError) -> Self {
        let code = match refusal {
            MetaError::UnknownNode(_) | MetaError::UnknownGroup(_) | MetaError::UnknownReplica { .. } => Code::Unknown,
            MetaError::NotFounded => Code::Unavailable,
            _ => Code::Refused,
        };
        let reasons = match refusal {
            MetaError::NotRemovable { reasons, .. } => reasons.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        Self {
            reasons,
            ..Self::new(code, refusal.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_exactly_these_kinds() {
        let readme = include_str!("../README.md");
        let listed: Vec<&str> = readme
            .lines()
            .filter(|line| line.starts_with("| `urn:weir:problem:"))
            .collect();
        let known: Vec<String> = Code::ALL
            .map(Code::row)
            .map(|(status, slug, title)| format!("| `urn:weir:problem:{slug}` | {} | {title} |", status.as_u16()))
            .into();
        assert_eq!(listed, known, "README.md should have:\n{}", known.join("\n"));
    }
}
