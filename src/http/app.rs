//! What every handler shares.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use tokio::sync::Semaphore;
use weir_protocol::{Clock, Streams, cursor};

use crate::body::Allowance;
use crate::budget::Budget;
use crate::limits::JSON_SPLITS;
use crate::live::broadcast::Audiences;
use crate::live::hub::Hub;
use crate::meters::Meters;
use crate::settings::Settings;
use crate::shutdown::ShutdownSignal;

/// Shared by all requests of one router.
pub(crate) struct App {
    pub(crate) streams: Arc<dyn Streams>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) shutdown: ShutdownSignal,
    pub(crate) hub: Hub,
    pub(crate) audiences: Audiences,
    pub(crate) meters: Meters,
    body_budget: Arc<Budget>,
    pub(crate) answer_budget: Arc<Budget>,
    /// Turns to split large JSON bodies.
    pub(crate) splits: Arc<Semaphore>,
    /// `None` when the setting is no header value; [`Settings::validate`] refuses that.
    pub(crate) cors_allow_origin: Option<HeaderValue>,
    jitter: RandomState,
    draws: AtomicU64,
}

/// A handle on [`App`], as handlers get it.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(
        streams: Arc<dyn Streams>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        shutdown: ShutdownSignal,
    ) -> Shared {
        let answer_budget = Budget::new(settings.max_inflight_answer_bytes);
        Arc::new(Self {
            hub: Hub::new(Arc::clone(&streams), Arc::clone(&answer_budget)),
            audiences: Audiences::new(),
            streams,
            clock,
            shutdown,
            meters: Meters::default(),
            body_budget: Budget::new(settings.max_inflight_body_bytes),
            answer_budget,
            splits: Arc::new(Semaphore::new(JSON_SPLITS)),
            cors_allow_origin: HeaderValue::from_str(&settings.cors_allow_origin).ok(),
            settings,
            jitter: RandomState::new(),
            draws: AtomicU64::new(0),
        })
    }

    /// What one request's body may be.
    pub(crate) fn allowance(&self) -> Allowance<'_> {
        Allowance {
            max_bytes: self.settings.max_body_bytes,
            timeout: self.settings.request_timeout,
            budget: &self.body_budget,
        }
    }

    /// The cursor of a live answer now (protocol section 10.1).
    pub(crate) fn cursor(&self, client: Option<u64>) -> u64 {
        let now = self.clock.now();
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        cursor::next(now, client, self.jitter.hash_one((now, draw)))
    }
}
