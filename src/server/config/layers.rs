//! The layers, one over the other: defaults, a file, the environment, flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Map, Source as _, Value, ValueKind};
use thiserror::Error;

use crate::config::keys::{ENV_PREFIX, KEYS, Key, OTHER_VARIABLES};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// This variable.
    Environment(String),
    /// This flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// No such key.
    #[error("unknown key '{key}' in {source_of}; allowed keys: {}", names())]
    UnknownKey {
        /// As it was written.
        key: String,
        /// Where.
        source_of: Source,
    },
    /// No such variable.
    #[error("unknown environment variable {name}; allowed: {}", variables())]
    UnknownVariable {
        /// As it was written.
        name: String,
    },
    /// A variable whose value is no text.
    #[error("the value of environment variable {name} is not UTF-8")]
    NotText {
        /// Its name.
        name: String,
    },
    /// A value that the key cannot have.
    #[error("{key}: impossible value {value} in {source_of}; allowed: {allowed}")]
    Impossible {
        /// The key.
        key: &'static str,
        /// The value as it was written.
        value: String,
        /// Where.
        source_of: Source,
        /// What would do.
        allowed: String,
    },
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {cause}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not valid TOML: {cause}", path.display())]
    NotToml {
        /// Its path.
        path: PathBuf,
        /// Where it is wrong.
        cause: config::ConfigError,
    },
    /// The table of keys and the type of the configuration differ, which is a bug.
    #[error("the configuration cannot be put together: {0}")]
    Inconsistent(#[from] config::ConfigError),
}

fn names() -> String {
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    names.join(", ")
}

fn variables() -> String {
    let keys = KEYS.iter().map(Key::env_name);
    let names: Vec<String> = OTHER_VARIABLES.iter().map(ToString::to_string).chain(keys).collect();
    names.join(", ")
}

/// One key's value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) text: String,
    pub(crate) source: Source,
}

/// What the layers say together: every key has a value.
pub(crate) type Settings = BTreeMap<&'static str, Setting>;

/// The value of every key when nobody sets any.
pub(crate) fn defaults() -> Settings {
    let default = |key: &Key| Setting {
        text: key.default.to_owned(),
        source: Source::Default,
    };
    KEYS.iter().map(|key| (key.name, default(key))).collect()
}

/// Lays a file over `settings`.
///
/// # Errors
/// When it cannot be read, or holds an unknown key or an impossible value.
pub(crate) fn apply_file(settings: &mut Settings, path: &Path) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let values = File::from_str(&text, FileFormat::Toml)
        .collect()
        .map_err(|cause| ConfigError::NotToml {
            path: path.to_owned(),
            cause,
        })?;
    for (name, value) in sorted(values) {
        let source = Source::File(path.to_owned());
        let Some(key) = Key::find(&name) else {
            return Err(ConfigError::UnknownKey {
                key: name,
                source_of: source,
            });
        };
        let Some(text) = key.kind.text_of(&value.kind) else {
            return Err(impossible(key, as_written(&value), source));
        };
        set(settings, key, text, source)?;
    }
    Ok(())
}

/// Lays the environment over `settings`. A variable that is empty counts as absent.
///
/// # Errors
/// For a variable with our prefix that is no key or no text, and for an impossible value.
pub(crate) fn apply_environment(
    settings: &mut Settings,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    let mut ours = Map::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with(ENV_PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        match value.into_string() {
            Ok(value) if is_service_link(&name, &value) => {}
            Ok(value) => {
                ours.insert(name, value);
            }
            Err(_) => return Err(ConfigError::NotText { name }),
        }
    }
    let values = Environment::with_prefix(ENV_PREFIX.trim_end_matches('_'))
        .prefix_separator("_")
        .ignore_empty(true)
        .source(Some(ours))
        .collect()?;
    for (name, value) in sorted(values) {
        let variable = format!("{ENV_PREFIX}{}", name.to_ascii_uppercase());
        let Some(key) = Key::find(&name) else {
            return Err(ConfigError::UnknownVariable { name: variable });
        };
        set(settings, key, value.into_string()?, Source::Environment(variable))?;
    }
    Ok(())
}

/// Lays flags over `settings`: pairs of a key's name and its value.
///
/// # Errors
/// For an impossible value.
pub(crate) fn apply_flags(settings: &mut Settings, flags: &[(&'static str, String)]) -> Result<(), ConfigError> {
    for (name, text) in flags {
        let Some(key) = Key::find(name) else { continue };
        set(settings, key, text.clone(), Source::Flag(key.flag()))?;
    }
    Ok(())
}

fn set(settings: &mut Settings, key: &'static Key, text: String, source: Source) -> Result<(), ConfigError> {
    if !key.kind.accepts(&text) {
        return Err(impossible(key, format!("'{text}'"), source));
    }
    settings.insert(key.name, Setting { text, source });
    Ok(())
}

fn impossible(key: &Key, value: String, source_of: Source) -> ConfigError {
    ConfigError::Impossible {
        key: key.name,
        value,
        source_of,
        allowed: key.kind.allowed(),
    }
}

fn as_written(value: &Value) -> String {
    match &value.kind {
        ValueKind::Table(_) => "(a table)".to_owned(),
        ValueKind::Array(_) => "(an array)".to_owned(),
        ValueKind::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}

/// In one order, so that of several mistakes always the same one is named.
fn sorted(values: Map<String, Value>) -> BTreeMap<String, Value> {
    values.into_iter().collect()
}

/// Whether Kubernetes set the variable: it gives every pod the addresses of the services around it, and for a service
/// named `weir` or `weir-...` these names begin like ours.
fn is_service_link(name: &str, value: &str) -> bool {
    let port = |(_, rest): (&str, &str)| rest.starts_with(|first: char| first.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.split_once("_PORT_").is_some_and(port)
}
