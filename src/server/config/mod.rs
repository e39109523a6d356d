//! The configuration: defaults, then a TOML file, then `WEIR_...` variables, then flags. The later wins.
//!
//! | file | what it holds |
//! |---|---|
//! | `keys` | every key, once |
//! | `kind` | what a value may be |
//! | `layers` | the layers, each checked by itself |
//! | `flags` | the flags, made from the keys |
//! | `advertise` | where a node tells others to reach it |
//! | `print` | `weir config` |

mod advertise;
mod flags;
mod keys;
mod kind;
mod layers;
mod print;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use config::builder::DefaultState;
use config::{Config as Layered, ConfigBuilder};
use serde::{Deserialize, Deserializer, de};

pub(crate) use advertise::{Advertised, Bound, Unreachable};
pub(crate) use flags::ConfigArgs;
pub(crate) use layers::{ConfigError, Settings};
pub(crate) use print::{to_json, to_toml};

use layers::Source;

/// How streams are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Storage {
    /// In memory only.
    Memory,
    /// A log per stream.
    File,
    /// A redb database.
    Redb,
}

impl Storage {
    /// Its name in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Redb => "redb",
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The effective configuration. `keys` says what each field is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    #[serde(deserialize_with = "optional")]
    peer_listen: Option<SocketAddr>,
    #[serde(deserialize_with = "optional")]
    peer_advertise: Option<String>,
    #[serde(deserialize_with = "optional")]
    client_advertise: Option<String>,
    #[serde(deserialize_with = "optional")]
    admin_advertise: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(crate) nodes: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub(crate) join: Vec<String>,
    pub(crate) zone: String,
    groups: u64,
    pub(crate) replication_factor: u32,
    #[serde(deserialize_with = "duration")]
    pub(crate) heartbeat_interval: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) election_timeout: Duration,
    pub(crate) data_dir: PathBuf,
    pub(crate) storage: Storage,
    pub(crate) cache_bytes: u64,
    pub(crate) keep_log_bytes: u64,
    pub(crate) max_connections: u64,
    max_body_bytes: u64,
    max_inflight_body_bytes: u64,
    max_inflight_answer_bytes: u64,
    max_read_bytes: u64,
    #[serde(deserialize_with = "duration")]
    long_poll_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    sse_max_duration: Duration,
    #[serde(deserialize_with = "duration")]
    sse_keep_alive: Duration,
    #[serde(deserialize_with = "duration")]
    request_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) header_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) drain_timeout: Duration,
    cors_allow_origin: String,
    pub(crate) log_filter: String,
    pub(crate) log_format: LogFormat,
}

impl Config {
    /// What the HTTP front end takes of it.
    pub(crate) fn http(&self) -> weir_http::Settings {
        weir_http::Settings {
            max_body_bytes: self.max_body_bytes,
            max_inflight_body_bytes: self.max_inflight_body_bytes,
            max_inflight_answer_bytes: self.max_inflight_answer_bytes,
            max_read_bytes: self.max_read_bytes,
            long_poll_timeout: self.long_poll_timeout,
            sse_max_duration: self.sse_max_duration,
            sse_keep_alive: self.sse_keep_alive,
            request_timeout: self.request_timeout,
            cors_allow_origin: self.cors_allow_origin.clone(),
        }
    }

    /// The typed form of what the layers say.
    ///
    /// # Errors
    /// When two values, each possible by itself, cannot go together.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let mut builder = ConfigBuilder::<DefaultState>::default();
        for (name, setting) in settings {
            builder = builder.set_override(*name, setting.text.as_str())?;
        }
        let config: Self = Layered::try_deserialize(builder.build()?)?;
        if let Err(error) = config.http().validate() {
            return Err(conflict(settings, error.key, error.allowed));
        }
        if config.election_timeout < config.heartbeat_interval * ELECTION_HEARTBEATS {
            return Err(conflict(
                settings,
                "election_timeout",
                "at least 3 times heartbeat_interval",
            ));
        }
        if config.storage != Storage::Redb && !(config.nodes.is_empty() && config.join.is_empty()) {
            return Err(conflict(
                settings,
                "storage",
                "redb, as nodes or join is set: no other one is replicated",
            ));
        }
        Ok(config)
    }

    /// Where other nodes connect.
    pub(crate) fn peer_listen(&self) -> SocketAddr {
        // Port 0, any port, stays that.
        let port = self.listen.port().saturating_sub(1);
        self.peer_listen.unwrap_or(SocketAddr::new(self.listen.ip(), port))
    }

    /// How many groups a new cluster has.
    pub(crate) fn groups(&self, mode: Mode) -> u64 {
        match (self.groups, mode) {
            (0, Mode::Serve) => SERVE_GROUPS,
            (0, Mode::Dev) => DEV_GROUPS,
            (groups, _) => groups,
        }
    }
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `weir serve`: a cluster of several machines.
    Serve,
    /// `weir dev`: one machine.
    Dev,
}

/// One slow heartbeat must not cost a group its leader.
const ELECTION_HEARTBEATS: u32 = 3;

const SERVE_GROUPS: u64 = 16;
const DEV_GROUPS: u64 = 2;

fn conflict(settings: &Settings, key: &'static str, allowed: &str) -> ConfigError {
    let setting = settings.get(key);
    ConfigError::Impossible {
        key,
        value: setting.map_or_else(String::new, |setting| format!("'{}'", setting.text)),
        source_of: setting.map_or(Source::Default, |setting| setting.source.clone()),
        allowed: allowed.to_owned(),
    }
}

/// Nothing where the text is empty.
fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    let value = (!text.is_empty()).then(|| text.parse().map_err(de::Error::custom));
    value.transpose()
}

/// In lower case, in which the cluster keeps addresses.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(kind::items(&text).map(str::to_ascii_lowercase).collect())
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(de::Error::custom)
}
