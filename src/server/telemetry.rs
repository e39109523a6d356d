//! Logs and metrics.

use std::io::{self, IsTerminal as _};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Histogram buckets for durations, in seconds: from a read of cached bytes to a long-poll that waited.
const DURATION_BUCKETS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// Histogram buckets for everything else, which is counts and sizes.
const COUNT_BUCKETS: [f64; 13] = [
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
];

/// Log lines go to stderr, as stdout belongs to what a command answers. A panic is logged as well, in the same format.
pub(crate) fn start_logs(config: &Config) {
    // Checked with the configuration; what cannot be parsed here never got this far.
    let filter = EnvFilter::try_new(&config.log_filter).unwrap_or_default();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would complain on stderr, and panic when that is gone: whoever read our log ended, which we need not.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let cause = text
            .or(payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a text");
        tracing::error!(%cause, %place, backtrace = %std::backtrace::Backtrace::capture(), "a thread panicked");
    }));
}

/// The process's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    recorder: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Installs the recorder of this process.
    ///
    /// # Errors
    /// When there is one already.
    pub(crate) fn install() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&COUNT_BUCKETS)?
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?
            .install_recorder()?;
        let process = Collector::default();
        process.describe();
        metrics::describe_gauge!("weir_build_info", "1; the labels say which build this is");
        metrics::gauge!("weir_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self { recorder, process })
    }

    /// All metrics now, in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.process.collect();
        self.recorder.render()
    }

    /// Moves what histograms have collected out of their buffers, which grow until somebody does. A scrape does it
    /// too, but nobody has to scrape.
    pub(crate) fn upkeep(&self) {
        self.recorder.run_upkeep();
    }
}
