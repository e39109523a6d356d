//! What a value may be.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::http::HeaderValue;
use config::ValueKind;
use tracing_subscriber::EnvFilter;
use weir_cluster::meta::{Address, Zone};

/// The kind of a key's value. Every value is text that its kind accepts. In a file integers are numbers and lists may be
/// arrays; as text a list has commas.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An IP address and a port.
    Address,
    /// The same, or nothing.
    OptionalAddress,
    /// A DNS name or an IP address that somebody can connect to, and a port; or nothing.
    HostPort,
    /// Any number of these, none of them twice.
    HostPorts,
    /// The name of a zone, or nothing.
    Zone,
    /// A path.
    Directory,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A number, such as a size in bytes.
    Integer {
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
            Self::OptionalAddress => "an IP address and a port, such as 127.0.0.1:4436 or [::]:4436".to_owned(),
            Self::HostPort => format!("{HOST_PORT}, but not {WILDCARDS}"),
            Self::HostPorts => {
                format!("{HOST_PORT}, but not {WILDCARDS}; several with commas between them, none twice")
            }
            Self::Zone => "up to 63 letters, digits, '-', '_' and '.'".to_owned(),
            Self::Directory => "a directory's path".to_owned(),
            Self::OneOf(words) => words.join(", "),
            Self::Integer { min, max } => format!("an integer from {min} to {max}"),
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
            Self::OptionalAddress => text.is_empty() || text.parse::<SocketAddr>().is_ok(),
            Self::HostPort => text.is_empty() || is_reachable(text),
            Self::HostPorts => {
                let mut seen = BTreeSet::new();
                items(text).all(|item| is_reachable(item) && seen.insert(item.to_ascii_lowercase()))
            }
            Self::Zone => text.parse::<Zone>().is_ok(),
            Self::Directory => !text.is_empty(),
            Self::OneOf(words) => words.contains(&text),
            Self::Integer { min, max } => text
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
            (Self::Integer { .. }, ValueKind::I64(number)) => Some(number.to_string()),
            (Self::Integer { .. }, _) => None,
            (Self::HostPorts, ValueKind::Array(values)) => {
                let texts = values.iter().map(|value| match &value.kind {
                    ValueKind::String(text) if !text.is_empty() && !text.contains(',') => Some(text.as_str()),
                    _ => None,
                });
                Some(texts.collect::<Option<Vec<_>>>()?.join(","))
            }
            (_, ValueKind::String(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// The value as it stands in a file.
    pub(crate) fn to_toml(&self, text: &str) -> toml::Value {
        match self {
            Self::Integer { .. } => text
                .parse()
                .map_or_else(|_| toml::Value::from(text), toml::Value::Integer),
            Self::HostPorts => toml::Value::Array(items(text).map(toml::Value::from).collect()),
            _ => toml::Value::from(text),
        }
    }
}

const HOST_PORT: &str = "a host and a port, such as node-1.example:4436, 10.0.0.1:4436 or [::1]:4436";
const WILDCARDS: &str = "0.0.0.0 or [::]";

/// The parts of a list. No text is no part.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    let parts = (!text.trim().is_empty()).then(|| text.split(','));
    parts.into_iter().flatten().map(str::trim)
}

/// Whether somebody could connect there: `0.0.0.0` stands for every address of a machine, and is none of them.
fn is_reachable(text: &str) -> bool {
    let host = text.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']));
    let is_wildcard = host
        .and_then(|host| host.parse().ok())
        .is_some_and(|ip: IpAddr| ip.is_unspecified());
    text.parse::<Address>().is_ok() && !is_wildcard
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
