//! What is printed.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

use super::error::BenchError;
use super::options::Options;
use super::tally::Tally;
use super::threads::Measured;

/// What a run was asked to do, beside the options of all.
#[derive(Debug)]
pub(super) struct Work {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What an operation is called.
    pub(super) operations: &'static str,
    /// Operations per second that were asked for.
    pub(super) rate: Option<f64>,
    /// Further options with their values.
    pub(super) settings: Vec<(&'static str, Value)>,
}

/// Prints it.
///
/// # Errors
/// When stdout cannot be written to, or there was nothing to measure.
pub(super) fn print(options: &Options, work: &Work, measured: &Measured) -> Result<(), BenchError> {
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{}", json(options, work, measured))?;
    } else {
        out.write_all(text(options, work, measured).as_bytes())?;
    }
    out.flush()?;
    if measured.tally.operations() == 0 {
        return Err(BenchError::NothingDone);
    }
    Ok(())
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)];

fn json(options: &Options, work: &Work, measured: &Measured) -> Value {
    let tally = &measured.tally;
    let latency = &tally.latency;
    let mut micros: Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, quantile)| ((*name).to_owned(), latency.value_at_quantile(*quantile).into()))
        .collect();
    micros.insert("max".to_owned(), latency.max().into());
    micros.insert("mean".to_owned(), latency.mean().round().into());
    let settings: Map<String, Value> = work
        .settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    json!({
        "work": work.name,
        "target": options.target.name(),
        "settings": settings,
        "loop": if work.rate.is_some() { "open" } else { "closed" },
        "rate": work.rate,
        "threads": options.threads,
        "seconds": measured.seconds,
        "operations": tally.operations(),
        "per_second": per_second(tally.operations(), measured),
        "bytes_per_second": per_second(tally.bytes, measured),
        "latency_us": micros,
        "errors": tally.errors,
        "errors_in_warm_up": tally.warm_up_errors,
        "counts": tally.counts,
        "client_cpu_seconds": measured.cpu_seconds,
    })
}

fn text(options: &Options, work: &Work, measured: &Measured) -> String {
    let tally = &measured.tally;
    let settings: Vec<String> = work
        .settings
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let mode = match work.rate {
        Some(rate) => format!("open loop at {rate}/s"),
        None => "closed loop".to_owned(),
    };
    let mut lines = vec![
        format!(
            "work        {} on {}: {}, {mode}",
            work.name,
            options.target.name(),
            settings.join(", ")
        ),
        format!(
            "throughput  {:.0} {}/s, {:.2} MiB/s ({} in {:.2} s)",
            per_second(tally.operations(), measured),
            work.operations,
            per_second(tally.bytes, measured) / f64::from(1 << 20),
            tally.operations(),
            measured.seconds
        ),
        format!("latency     {}", latencies(tally)),
        format!("errors      {}", errors(tally)),
    ];
    for (what, count) in &tally.counts {
        lines.push(format!("{what:<11} {count}"));
    }
    lines.push(format!("client      {:.2} s of processor time", measured.cpu_seconds));
    lines.join("\n") + "\n"
}

fn latencies(tally: &Tally) -> String {
    let millis = |micros: u64| format!("{:.3} ms", micros as f64 / 1000.0);
    let quantile = |(name, quantile): &(&str, f64)| {
        let name = name.replace('_', ".");
        format!("{name} {}", millis(tally.latency.value_at_quantile(*quantile)))
    };
    let mut all: Vec<String> = QUANTILES.iter().map(quantile).collect();
    all.push(format!("max {}", millis(tally.latency.max())));
    all.join(", ")
}

fn errors(tally: &Tally) -> String {
    let mut all: Vec<String> = tally
        .errors
        .iter()
        .map(|(why, count)| format!("{count} x {why}"))
        .collect();
    if tally.warm_up_errors > 0 {
        all.push(format!("{} in the warm-up", tally.warm_up_errors));
    }
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

fn per_second(number: u64, measured: &Measured) -> f64 {
    number as f64 / measured.seconds.max(1e-6)
}
