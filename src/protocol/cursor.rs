//! CDN cursors (protocol section 10.1): stateless, so every node gives the same one.

use crate::time::Timestamp;

/// The protocol's cursor epoch: 2024-10-09T00:00:00Z.
pub const CURSOR_EPOCH: Timestamp = Timestamp::from_millis(1_728_432_000_000);

/// The length of an interval, in milliseconds.
pub const CURSOR_INTERVAL_MS: u64 = 20_000;

const MAX_JITTER_SECONDS: u64 = 3600;

/// The cursor of a live answer at `now` to a client that sent `client`: the number of the current interval, or, when
/// the client is not behind it, the client's cursor plus a jitter of 1 to 3600 seconds in whole intervals.
///
/// The jitter is drawn from `entropy` (any number). The answer is strictly greater than the client's cursor unless
/// that is `u64::MAX`.
#[must_use]
pub fn next(now: Timestamp, client: Option<u64>, entropy: u64) -> u64 {
    let current = interval(now);
    match client {
        Some(client) if client >= current => {
            let jitter_seconds = 1 + entropy % MAX_JITTER_SECONDS;
            client.saturating_add((jitter_seconds * 1000).div_ceil(CURSOR_INTERVAL_MS))
        }
        _ => current,
    }
}

/// The number of the interval in which `now` lies; 0 before [`CURSOR_EPOCH`].
#[must_use]
pub fn interval(now: Timestamp) -> u64 {
    now.as_millis().saturating_sub(CURSOR_EPOCH.as_millis()) / CURSOR_INTERVAL_MS
}

/// Parses a client's `cursor` parameter; anything but a plain decimal number counts as absent, as a cursor only
/// steers caches.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
