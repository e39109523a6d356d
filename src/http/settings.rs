//! What an operator may set.

use std::time::Duration;

use http::HeaderValue;
use thiserror::Error;

/// The front end's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The largest request body, in bytes. A larger one is answered with 413.
    pub max_body_bytes: u64,
    /// How much all request bodies together may take in memory, in bytes. Beyond it requests are answered with 429.
    pub max_inflight_body_bytes: u64,
    /// How much all answers together may take in memory until clients have taken them, in bytes. The more they take, the
    /// smaller they become.
    pub max_inflight_answer_bytes: u64,
    /// The most stored bytes in one catch-up answer. A single message that is larger comes whole.
    pub max_read_bytes: u64,
    /// How long a long-poll waits before it answers 204.
    pub long_poll_timeout: Duration,
    /// How long an SSE answer lasts at most; the client then connects again (protocol section 5.8 advises 60 s).
    pub sse_max_duration: Duration,
    /// How long an SSE answer may be silent before a comment line is sent, which shows proxies that it is alive.
    pub sse_keep_alive: Duration,
    /// How long a request's body may take to arrive. A slower one is answered with 408.
    pub request_timeout: Duration,
    /// The value of `Access-Control-Allow-Origin`: `*` or one origin.
    pub cors_allow_origin: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body_bytes: 16 * 1024 * 1024,
            max_inflight_body_bytes: 512 * 1024 * 1024,
            max_inflight_answer_bytes: 512 * 1024 * 1024,
            max_read_bytes: 4 * 1024 * 1024,
            long_poll_timeout: Duration::from_secs(20),
            sse_max_duration: Duration::from_secs(60),
            sse_keep_alive: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            cors_allow_origin: "*".to_owned(),
        }
    }
}

/// A setting with an impossible value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{key} must be {allowed}")]
pub struct SettingsError {
    /// The setting's name, as in [`Settings`].
    pub key: &'static str,
    /// What it may be.
    pub allowed: &'static str,
}

/// What comes from another node in one message, with room for what is around it.
const READ_CEILING_BYTES: u64 = 64 << 20;

/// The largest body that the payload's 32-bit lengths can frame, with room for JSON's commas.
const BODY_CEILING_BYTES: u64 = 1 << 30;

impl Settings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let rules = [
            (
                "max_body_bytes",
                (1..=BODY_CEILING_BYTES).contains(&self.max_body_bytes),
                "from 1 to 1073741824 bytes",
            ),
            (
                "max_inflight_body_bytes",
                self.max_inflight_body_bytes >= self.max_body_bytes,
                "at least max_body_bytes",
            ),
            (
                "max_inflight_answer_bytes",
                self.max_inflight_answer_bytes >= self.max_read_bytes,
                "at least max_read_bytes",
            ),
            (
                "max_read_bytes",
                (1..=READ_CEILING_BYTES).contains(&self.max_read_bytes),
                "from 1 to 67108864 bytes",
            ),
            ("long_poll_timeout", !self.long_poll_timeout.is_zero(), "longer than 0"),
            ("sse_max_duration", !self.sse_max_duration.is_zero(), "longer than 0"),
            ("sse_keep_alive", !self.sse_keep_alive.is_zero(), "longer than 0"),
            ("request_timeout", !self.request_timeout.is_zero(), "longer than 0"),
            (
                "cors_allow_origin",
                !self.cors_allow_origin.is_empty() && HeaderValue::from_str(&self.cors_allow_origin).is_ok(),
                "'*' or one origin such as 'https://example.org'",
            ),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((key, _, allowed)) => Err(SettingsError { key, allowed }),
            None => Ok(()),
        }
    }
}
