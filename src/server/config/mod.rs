//! The configuration: defaults, then a TOML file, then `WEIR_...` variables, then flags. The later wins.
//!
//! | file | what it holds |
//! |---|---|
//! | `keys` | every key, once |
//! | `kind` | what a value may be |
//! | `layers` | the layers, each checked by itself |
//! | `flags` | the flags, made from the keys |
//! | `print` | `weir config` |

mod flags;
mod keys;
mod kind;
mod layers;
mod print;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::builder::DefaultState;
use config::{Config as Layered, ConfigBuilder};
use serde::{Deserialize, Deserializer, de};

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
    pub(crate) data_dir: PathBuf,
    pub(crate) storage: Storage,
    pub(crate) cache_bytes: u64,
    max_body_bytes: u64,
    max_inflight_body_bytes: u64,
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
        match config.http().validate() {
            Ok(()) => Ok(config),
            Err(error) => Err(conflict(settings, error)),
        }
    }
}

fn conflict(settings: &Settings, error: weir_http::SettingsError) -> ConfigError {
    let setting = settings.get(error.key);
    ConfigError::Impossible {
        key: error.key,
        value: setting.map_or_else(String::new, |setting| format!("'{}'", setting.text)),
        source_of: setting.map_or(Source::Default, |setting| setting.source.clone()),
        allowed: error.allowed.to_owned(),
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(de::Error::custom)
}
