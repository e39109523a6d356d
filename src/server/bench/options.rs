//! The flags that every kind of work has.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use clap::Args;
use reqwest::Url;

use super::error::BenchError;
use super::target::Target;

/// The flags that every kind of work has.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A node's address; several are used in turn, each connection keeping to its own
    #[arg(long = "url", value_name = "URL", default_value = "http://127.0.0.1:4437")]
    urls: Vec<String>,
    /// Whose dialect to speak
    #[arg(long, value_enum, default_value_t = Target::Weir)]
    pub(super) target: Target,
    /// For how long to measure
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(super) duration: Duration,
    /// For how long to do the same before, without measuring
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pub(super) warm_up: Duration,
    /// End after this many operations, instead of after a time; nothing is warmed up
    #[arg(long, value_name = "OPERATIONS", conflicts_with_all = ["duration", "warm_up"],
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// How long an answer may take before the operation counts as failed
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,
    /// How many threads share the connections
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
    /// What the names of this run's streams begin with; random when absent
    #[arg(long, value_name = "NAME", value_parser = prefix)]
    prefix: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Operations per second, of all connections together.
#[derive(Debug, Args)]
pub(super) struct RateOption {
    /// Begin this many operations per second, whether or not the server keeps up; without it each connection begins
    /// the next one when the last one is answered
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    pub(super) rate: Option<f64>,
}

impl Options {
    /// Host and port of each node.
    ///
    /// # Errors
    /// When a URL is no `http://` address of a server.
    pub(super) fn addresses(&self) -> Result<Vec<String>, BenchError> {
        self.urls.iter().map(|url| address(url)).collect()
    }

    /// Refuses `--count`, where the work ends by the time only.
    ///
    /// # Errors
    /// When there is one.
    pub(super) fn must_be_timed(&self) -> Result<(), BenchError> {
        match self.count {
            None => Ok(()),
            Some(_) => Err(BenchError::Options(
                "--count cannot be used where messages are delivered".to_owned(),
            )),
        }
    }

    /// What the names of this run's streams begin with. Another run on the same server has other streams, unless told
    /// otherwise.
    pub(super) fn prefix(&self) -> String {
        let random = || format!("bench-{:016x}", RandomState::new().hash_one(std::process::id()));
        self.prefix.clone().unwrap_or_else(random)
    }
}

/// Host and port of a URL.
pub(super) fn address(url: &str) -> Result<String, BenchError> {
    let refused = || BenchError::Url(url.to_owned());
    let parsed = Url::parse(url).map_err(|_| refused())?;
    let is_root = parsed.scheme() == "http" && parsed.path() == "/" && parsed.query().is_none();
    match (is_root, parsed.host_str(), parsed.port_or_known_default()) {
        (true, Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(refused()),
    }
}

/// A prefix of letters that every target takes in a name and that need no escape in a path.
fn prefix(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (4..=48).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("4 to 48 lower-case letters, digits and '-' are allowed".to_owned())
    }
}

/// A number of operations per second.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.001 => Ok(number),
        _ => Err("a number from 0.001 is allowed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        assert_eq!(address("http://127.0.0.1:4437").unwrap(), "127.0.0.1:4437");
        assert_eq!(address("http://[::1]:4437/").unwrap(), "[::1]:4437");
        assert_eq!(address("http://node").unwrap(), "node:80");
        for url in ["https://node", "node:4437", "http://node/v1", "http://node/?x=1", ""] {
            assert!(matches!(address(url), Err(BenchError::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_prefix_is_a_name_everywhere() {
        assert_eq!(prefix("run-1").unwrap(), "run-1");
        for text in ["run", "Run-1", "a/bcd", "a b c", "__ds"] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        assert_eq!(positive("0.5").unwrap(), 0.5);
        for text in ["0", "-1", "NaN", "inf", "x"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }
}
