//! What a value may be.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderValue;
use config::ValueKind;
use tracing_subscriber::EnvFilter;

/// The kind of a key's value. Every value is text that its kind accepts; only sizes are numbers in a file.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An IP address and a port.
    Address,
    /// A path.
    Directory,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A size in bytes.
    Bytes {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A length of time.
    Duration {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// `*` or one origin.
    Origin,
    /// Directives of `tracing_subscriber`.
    LogFilter,
}

impl Kind {
    /// What is allowed, to follow "allowed:".
    pub(crate) fn allowed(&self) -> String {
        match self {
            Self::Address => "an IP address and a port, such as 127.0.0.1:4437 or [::]:4437".to_owned(),
            Self::Directory => "a directory's path".to_owned(),
            Self::OneOf(words) => words.join(", "),
            Self::Bytes { min, max } => format!("an integer from {min} to {max}"),
            Self::Duration { min, max } => format!(
                "a duration from {} to {}, such as 500ms, 1s or 2m",
                humantime::format_duration(*min),
                humantime::format_duration(*max)
            ),
            Self::Origin => "'*' or one origin, such as https://example.org".to_owned(),
            Self::LogFilter => {
                "off, error, warn, info, debug, trace, or directives such as info,weir_http=debug".to_owned()
            }
        }
    }

    /// Whether the text is allowed.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Directory => !text.is_empty(),
            Self::OneOf(words) => words.contains(&text),
            Self::Bytes { min, max } => text
                .parse::<u64>()
                .is_ok_and(|bytes| (*min..=*max).contains(&bytes) && !text.starts_with('+')),
            Self::Duration { min, max } => {
                humantime::parse_duration(text).is_ok_and(|duration| (*min..=*max).contains(&duration))
            }
            Self::Origin => text == "*" || is_origin(text),
            Self::LogFilter => text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok(),
        }
    }

    /// The text of a value from a file; `None` when it has another type there.
    pub(crate) fn text_of(&self, value: &ValueKind) -> Option<String> {
        match (self, value) {
            (Self::Bytes { .. }, ValueKind::I64(number)) => Some(number.to_string()),
            (Self::Bytes { .. }, _) => None,
            (_, ValueKind::String(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// The value as it stands in a file.
    pub(crate) fn to_toml(&self, text: &str) -> toml::Value {
        match self {
            Self::Bytes { .. } => text
                .parse()
                .map_or_else(|_| toml::Value::from(text), toml::Value::Integer),
            _ => toml::Value::from(text),
        }
    }
}

/// Whether one directive says what it means: a mistyped level would pass for a module's name and silence all others.
fn is_directive(text: &str) -> bool {
    text.contains(['=', '[']) || ["off", "error", "warn", "info", "debug", "trace"].contains(&text)
}

/// Whether the text is a scheme and an authority: browsers compare it as a whole, so a path would never match.
fn is_origin(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| !authority.is_empty() && !authority.contains(['/', ' ', ',']))
        && HeaderValue::from_str(text).is_ok()
}
