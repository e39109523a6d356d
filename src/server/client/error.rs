//! What can go wrong in `weir stream` and `weir cluster`, and which code to exit with.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

use crate::exit::Exit;

/// Why an operation did not succeed.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// `--url` is no address of a server.
    #[error("'{0}' is not a server's address such as http://127.0.0.1:4437")]
    Url(String),
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be started: {0}")]
    Setup(String),
    /// No answer came.
    #[error("no answer from {url}: {cause}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// Why.
        cause: String,
    },
    /// The server answered with an error.
    #[error("{title}: {detail}")]
    Answered {
        /// The status.
        status: StatusCode,
        /// What kind of problem it is.
        title: String,
        /// What it is about here.
        detail: String,
        /// How long the server asks to wait before trying again.
        retry_after: Option<Duration>,
    },
    /// The answer is none of this protocol.
    #[error("the server's answer has no {0}; is it a Durable Streams server?")]
    NoStreamServer(&'static str),
    /// The answer is none of the admin API.
    #[error("the answer from {0} cannot be understood; is it the admin port of a Weir server?")]
    NoAdminPort(String),
    /// Replicas hold different things, or it cannot be said whether they do.
    #[error("{0}")]
    NotEqual(String),
    /// The input cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Input {
        /// Which input.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The input cannot be appended.
    #[error("{0}")]
    BadInput(String),
    /// Stdout cannot be written to.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// A part of the input was appended before something went wrong.
    #[error("{cause} (the first {appended_bytes} bytes of the input were appended)")]
    Partly {
        /// How much of the input is in the stream.
        appended_bytes: u64,
        /// What went wrong.
        cause: Box<ClientError>,
    },
}

impl ClientError {
    /// No answer, told in the words of the innermost cause: those around it repeat the address.
    pub(crate) fn unreachable(url: &str, error: &reqwest::Error) -> Self {
        let mut cause = error.source();
        while let Some(inner) = cause.and_then(std::error::Error::source) {
            cause = Some(inner);
        }
        Self::Unreachable {
            url: url.to_owned(),
            cause: cause.map_or_else(|| error.to_string(), ToString::to_string),
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Answered { status, .. } => matches!(
                *status,
                StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::INTERNAL_SERVER_ERROR
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
                    | StatusCode::INSUFFICIENT_STORAGE
            ),
            _ => false,
        }
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Url(_) => Exit::Usage,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Answered { status, .. } => match *status {
                StatusCode::NOT_FOUND | StatusCode::GONE => Exit::NotFound,
                StatusCode::FORBIDDEN | StatusCode::CONFLICT => Exit::Conflict,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Exit::ServerFailed,
                status if status.is_client_error() => Exit::Refused,
                _ => Exit::ServerFailed,
            },
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Partly { cause, .. } => cause.exit(),
            Self::Setup(_)
            | Self::NoStreamServer(_)
            | Self::NoAdminPort(_)
            | Self::NotEqual(_)
            | Self::Input { .. }
            | Self::BadInput(_)
            | Self::Output(_) => Exit::Failed,
        }
    }
}
