//! Timestamps and the seam through which everything else asks for the time.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59.999Z.
const LAST_RFC3339_MS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The far end of time: later than every instant the protocol can name.
    pub const MAX: Self = Self(u64::MAX);

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant plus `seconds`; saturates at [`Timestamp::MAX`].
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Parses an RFC 3339 timestamp; fractions of a millisecond are cut off.
    ///
    /// Returns `None` when the text is no RFC 3339 timestamp, or names an instant before 1970 or, by its time zone,
    /// one after 9999 in UTC, which RFC 3339 could not give back.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // Chrono takes the Unicode minus sign for a minus; RFC 3339 is ASCII.
        let parsed = DateTime::parse_from_rfc3339(text).ok().filter(|_| text.is_ascii())?;
        u64::try_from(parsed.timestamp_millis())
            .ok()
            .filter(|millis| *millis <= LAST_RFC3339_MS)
            .map(Self)
    }

    /// RFC 3339 in UTC with milliseconds, such as `2026-11-23T14:48:50.000Z`.
    ///
    /// RFC 3339 has years of four digits, so any instant after 9999 is shown as the last one of that year.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        i64::try_from(self.0.min(LAST_RFC3339_MS))
            .ok()
            .and_then(DateTime::<Utc>::from_timestamp_millis)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// Where the time comes from. Real processes use the system's clock; tests and simulations bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The current wall time.
    fn now(&self) -> Timestamp;
}
