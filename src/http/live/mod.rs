//! Live reads: long-poll and Server-Sent Events (protocol sections 5.7 and 5.8).

pub(crate) mod broadcast;
pub(crate) mod hub;
pub(crate) mod lane;
pub(crate) mod long_poll;
pub(crate) mod sse;
mod text;
pub(crate) mod upkeep;

/// Counts one client that waits, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Presence(&'static str);

impl Presence {
    pub(crate) fn new(mode: &'static str) -> Self {
        metrics::gauge!("weir_http_live_subscribers", "mode" => mode).increment(1.0);
        Self(mode)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        metrics::gauge!("weir_http_live_subscribers", "mode" => self.0).decrement(1.0);
    }
}
