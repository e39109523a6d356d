//! Every error answer (RFC 9457). `README.md` has the table for clients; a test keeps the two alike.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode, Version};
use serde::Serialize;
use weir_protocol::name::NameError;
use weir_protocol::{AppendError, CreateError, DeleteError, Fault, HeadError, ListError, ReadError, headers};

use crate::body::BodyError;
use crate::budget::OverBudget;
use crate::limits::RETRY_AFTER_SECONDS;
use crate::reserved;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:ident $slug:literal $title:literal;)+) => {
        /// The stable kinds of problem. A slug never changes its meaning and is never used again.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// All of them, for the test that compares them with the README.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Status, slug and title.
            pub(crate) const fn row(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$variant => (StatusCode::$status, $slug, $title),)+
                }
            }
        }
    };
}

codes! {
    InvalidName = BAD_REQUEST "invalid-name" "The stream name is not valid";
    NameTooLong = URI_TOO_LONG "name-too-long" "The stream name is too long";
    Reserved = NOT_IMPLEMENTED "reserved" "Subscriptions are not supported";
    TargetTooLong = URI_TOO_LONG "uri-too-long" "The request target is too long";
    UnknownPath = NOT_FOUND "unknown-path" "Nothing is served under this path";
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" "The method is not supported here";
    InvalidHost = BAD_REQUEST "invalid-host" "The Host header is missing or sent twice";
    InvalidHeader = BAD_REQUEST "invalid-header" "A header is not valid";
    InvalidQuery = BAD_REQUEST "invalid-query" "A query parameter is not valid";
    InvalidOffset = BAD_REQUEST "invalid-offset" "The offset is not valid";
    OffsetRequired = BAD_REQUEST "offset-required" "Live reads need an offset";
    OffsetBeyondTail = BAD_REQUEST "offset-beyond-tail" "The offset lies past the stream's tail";
    InvalidContentType = BAD_REQUEST "invalid-content-type" "The Content-Type is not a media type";
    MissingContentType = BAD_REQUEST "missing-content-type" "A body needs a Content-Type";
    UnsupportedContentEncoding = UNSUPPORTED_MEDIA_TYPE "unsupported-content-encoding" "Encoded bodies are not supported";
    EmptyBody = BAD_REQUEST "empty-body" "An append needs a body";
    InvalidJson = BAD_REQUEST "invalid-json" "The body is not valid JSON";
    EmptyJsonArray = BAD_REQUEST "empty-json-array" "An empty JSON array appends nothing";
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large" "The body is too large";
    BodyTimeout = REQUEST_TIMEOUT "body-timeout" "The body took too long to arrive";
    BodyIncomplete = BAD_REQUEST "body-incomplete" "The body did not arrive whole";
    InvalidLifetime = BAD_REQUEST "invalid-lifetime" "The stream's lifetime is not valid";
    InvalidFork = BAD_REQUEST "invalid-fork" "The fork headers are not valid";
    ForkOffsetBeyondTail = BAD_REQUEST "fork-offset-beyond-tail" "The fork offset lies past the source's tail";
    ForkOffsetInvalid = BAD_REQUEST "fork-offset-invalid" "The fork offset is not one that the source returned";
    ForkSubOffsetOvershoot = BAD_REQUEST "fork-sub-offset-overshoot" "The fork sub-offset lies past the next data boundary";
    ForkSourceNotFound = NOT_FOUND "fork-source-not-found" "The fork's source does not exist";
    ForkSourceGone = CONFLICT "fork-source-gone" "The fork's source is deleted";
    ForkContentTypeMismatch = CONFLICT "fork-content-type-mismatch" "A fork has its source's content type";
    StreamExists = CONFLICT "stream-exists" "A different stream has this name";
    NameHeld = CONFLICT "name-held" "The name belongs to a deleted stream with forks";
    StreamNotFound = NOT_FOUND "stream-not-found" "The stream does not exist";
    StreamGone = GONE "stream-gone" "The stream is deleted";
    StreamClosed = CONFLICT "stream-closed" "The stream is closed";
    StreamFull = CONFLICT "stream-full" "The stream is at its largest size";
    ContentTypeMismatch = CONFLICT "content-type-mismatch" "The stream has another content type";
    InvalidStreamSeq = BAD_REQUEST "invalid-stream-seq" "Stream-Seq is not valid";
    StreamSeqRegression = CONFLICT "stream-seq-regression" "Stream-Seq did not increase";
    InvalidProducer = BAD_REQUEST "invalid-producer" "The producer headers are not valid";
    ProducerFenced = FORBIDDEN "producer-fenced" "A newer epoch of this producer has written";
    ProducerGap = CONFLICT "producer-gap" "Producer-Seq skipped a number";
    ProducerEpochStart = BAD_REQUEST "producer-epoch-start" "A new Producer-Epoch starts with Producer-Seq 0";
    Overloaded = TOO_MANY_REQUESTS "overloaded" "Too many requests are waiting";
    Unavailable = SERVICE_UNAVAILABLE "unavailable" "The service cannot take this request now";
    OutcomeUnknown = SERVICE_UNAVAILABLE "outcome-unknown" "It is unknown whether this write was done";
    StorageFull = INSUFFICIENT_STORAGE "storage-full" "The storage is full";
    Internal = INTERNAL_SERVER_ERROR "internal" "The server failed";
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The body, in the order in which it is easiest to read.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// A problem with a text for the person who reads it.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    /// A problem whose cause speaks for itself.
    pub(crate) fn of(code: Code, cause: &impl ToString) -> Self {
        Self::new(code, cause.to_string())
    }

    /// 405, with the methods that are allowed.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(Code::MethodNotAllowed, format!("allowed methods: {allow}"))
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn with_text(self, name: &'static str, value: &impl ToString) -> Self {
        match HeaderValue::from_str(&value.to_string()) {
            Ok(value) => self.with(HeaderName::from_static(name), value),
            Err(_) => self,
        }
    }

    /// The last answer of its connection. HTTP/2 has no such header.
    pub(crate) fn ending(self, version: Version) -> Self {
        match version {
            Version::HTTP_2 => self,
            _ => self.with(CONNECTION, HeaderValue::from_static("close")),
        }
    }

    pub(crate) fn retry_later(self) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.code.row();
        if self.code == Code::Reserved {
            return reserved::answer();
        }
        let document = Document {
            r#type: format!("urn:weir:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
        };
        // Serialising a struct of plain fields to memory has no way to fail.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        let code = match error {
            NameError::Empty
            | NameError::EmptySegment
            | NameError::DotSegment
            | NameError::ControlCharacter
            | NameError::Encoding => Code::InvalidName,
            NameError::TooLong => Code::NameTooLong,
            NameError::Reserved => Code::Reserved,
        };
        Self::of(code, &error)
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => Self::of(Code::BodyTooLarge, &error),
            BodyError::TimedOut => Self::of(Code::BodyTimeout, &error),
            BodyError::Incomplete => Self::of(Code::BodyIncomplete, &error),
            BodyError::OverBudget => Self::of(Code::Overloaded, &error).retry_later(),
        }
    }
}

impl From<OverBudget> for Problem {
    fn from(_: OverBudget) -> Self {
        Self::new(
            Code::Overloaded,
            "answers that clients have not taken yet fill the memory that is set aside for them",
        )
        .retry_later()
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(_) => Self::of(Code::Unavailable, &fault).retry_later(),
            Fault::Overloaded => Self::of(Code::Overloaded, &fault).retry_later(),
            Fault::OutcomeUnknown => Self::of(Code::OutcomeUnknown, &fault).retry_later(),
            Fault::TooLarge => Self::of(Code::BodyTooLarge, &fault),
            Fault::StorageFull => Self::of(Code::StorageFull, &fault),
            Fault::Storage(cause) => {
                tracing::error!(%cause, "the storage failed");
                Self::new(Code::Internal, "the storage failed; the server's log says how")
            }
        }
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        let code = match error {
            CreateError::ConfigMismatch(_) => Code::StreamExists,
            CreateError::NameHeld => Code::NameHeld,
            CreateError::SourceNotFound => Code::ForkSourceNotFound,
            CreateError::SourceGone => Code::ForkSourceGone,
            CreateError::SourceTypeMismatch(_) => Code::ForkContentTypeMismatch,
            CreateError::ForkOffsetBeyondTail => Code::ForkOffsetBeyondTail,
            CreateError::ForkOffsetInvalid => Code::ForkOffsetInvalid,
            CreateError::ForkSubOffsetOvershoot => Code::ForkSubOffsetOvershoot,
            CreateError::TooLong => Code::StreamFull,
            CreateError::Elsewhere => return UNROUTED.into(),
            CreateError::Fault(fault) => return fault.into(),
        };
        Self::of(code, &error)
    }
}

/// Routers resolve what is kept elsewhere; one that did not may do so the next time.
const UNROUTED: Fault = Fault::Unavailable("what a fork inherited is kept elsewhere");

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::NotFound => Self::of(Code::StreamNotFound, &error),
            AppendError::Gone => Self::of(Code::StreamGone, &error),
            AppendError::Closed { next_offset } => Self::of(Code::StreamClosed, &error)
                .with_text(headers::STREAM_CLOSED, &"true")
                .with_text(headers::STREAM_NEXT_OFFSET, &next_offset),
            AppendError::ContentTypeMismatch(_) => Self::of(Code::ContentTypeMismatch, &error),
            AppendError::StreamSeqRegression => Self::of(Code::StreamSeqRegression, &error),
            AppendError::EpochFenced { current_epoch } => {
                Self::of(Code::ProducerFenced, &error).with_text(headers::PRODUCER_EPOCH, &current_epoch)
            }
            AppendError::SequenceGap { expected, received } => Self::of(Code::ProducerGap, &error)
                .with_text(headers::PRODUCER_EXPECTED_SEQ, &expected)
                .with_text(headers::PRODUCER_RECEIVED_SEQ, &received),
            AppendError::EpochMustStartAtZero => Self::of(Code::ProducerEpochStart, &error),
            AppendError::TooLong => Self::of(Code::StreamFull, &error),
            AppendError::Fault(fault) => fault.into(),
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::NotFound => Self::of(Code::StreamNotFound, &error),
            DeleteError::Gone => Self::of(Code::StreamGone, &error),
            DeleteError::Fault(fault) => fault.into(),
        }
    }
}

impl From<HeadError> for Problem {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::NotFound => Self::of(Code::StreamNotFound, &error),
            HeadError::Gone => Self::of(Code::StreamGone, &error),
            HeadError::Fault(fault) => fault.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound => Self::of(Code::StreamNotFound, &error),
            ReadError::Gone => Self::of(Code::StreamGone, &error),
            ReadError::OffsetBeyondTail => Self::of(Code::OffsetBeyondTail, &error),
            ReadError::OffsetInvalid => Self::of(Code::InvalidOffset, &error),
            ReadError::Elsewhere => UNROUTED.into(),
            ReadError::Fault(fault) => fault.into(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Fault(fault) => fault.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_exactly_these_codes_with_their_statuses() {
        let readme = include_str!("README.md");
        let errors = readme.split("## Errors").nth(1).unwrap();
        let table = errors.split("\n## ").next().unwrap();
        let documented: Vec<(String, u16)> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .map(|row| {
                let (slug, rest) = row.split_once("` | ").unwrap();
                let (status, _) = rest.split_once(" | ").unwrap();
                (slug.to_owned(), status.parse().unwrap())
            })
            .collect();
        let known: Vec<(String, u16)> = Code::ALL
            .iter()
            .map(|code| code.row())
            .map(|(status, slug, _)| (slug.to_owned(), status.as_u16()))
            .collect();
        assert_eq!(documented, known);
    }
}
