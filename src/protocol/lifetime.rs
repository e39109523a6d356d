//! TTL and expiry (protocol sections 4.2 and 5.1).

use thiserror::Error;

use crate::time::Timestamp;

/// How long a stream lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// Until it is deleted.
    #[default]
    Forever,
    /// A sliding window in seconds: every read and write begins it anew; HEAD does not.
    Ttl(u64),
    /// Until a fixed instant.
    ExpiresAt(Timestamp),
}

/// Why the lifetime headers of a create are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LifetimeError {
    /// `Stream-TTL` is not a plain non-negative decimal integer.
    #[error("Stream-TTL must be a non-negative integer of seconds without sign, point, exponent or leading zeros")]
    Ttl,
    /// `Stream-Expires-At` is not RFC 3339, or not from 1970 to 9999.
    #[error("Stream-Expires-At must be an RFC 3339 timestamp from 1970 to 9999")]
    ExpiresAt,
    /// Both headers were sent.
    #[error("Stream-TTL and Stream-Expires-At exclude each other")]
    Both,
}

impl Lifetime {
    /// Parses the two headers of a create; both absent means [`Lifetime::Forever`].
    ///
    /// # Errors
    /// [`LifetimeError`], by the header that is wrong.
    pub fn parse(ttl: Option<&str>, expires_at: Option<&str>) -> Result<Self, LifetimeError> {
        match (ttl, expires_at) {
            (None, None) => Ok(Self::Forever),
            (Some(_), Some(_)) => Err(LifetimeError::Both),
            (Some(ttl), None) => parse_ttl(ttl).map(Self::Ttl),
            (None, Some(at)) => Timestamp::parse_rfc3339(at)
                .map(Self::ExpiresAt)
                .ok_or(LifetimeError::ExpiresAt),
        }
    }

    /// The instant from which a stream last touched at `touched` is gone; `None` means never.
    #[must_use]
    pub fn deadline(self, touched: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Forever => None,
            Self::Ttl(seconds) => Some(touched.plus_seconds(seconds)),
            Self::ExpiresAt(at) => Some(at),
        }
    }

    /// What a fork gets that asked for `requested`, of a source with lifetime `self`: its own wish where it has one,
    /// the source's otherwise (the table of protocol section 4.2).
    #[must_use]
    pub fn inherited_by_fork(self, requested: Self) -> Self {
        match requested {
            Self::Forever => self,
            Self::Ttl(_) | Self::ExpiresAt(_) => requested,
        }
    }
}

fn parse_ttl(text: &str) -> Result<u64, LifetimeError> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return Err(LifetimeError::Ttl);
    }
    text.parse().map_err(|_| LifetimeError::Ttl)
}
