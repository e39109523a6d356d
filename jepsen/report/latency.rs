//! How long operations took: every one as a dot, and percentiles over time.

use std::fmt::Write;

use super::canvas::{Canvas, FAIL, INFO, OK, outcome_colour};
use crate::history::{History, Op, Operation, Outcome};

/// More dots than this only make the page slow; of answered operations every so many is drawn then, unknown ones all.
const DOTS: usize = 12_000;

/// Into how many stretches the run is cut for percentiles.
const BUCKETS: u64 = 120;

/// Latencies from 0.1 ms to 100 s, in powers of ten.
const DECADES: f64 = 6.0;

/// Operations whose length says something: a live reader waits for others.
fn timed(history: &History) -> impl Iterator<Item = (&Operation, u64)> {
    let waits = |operation: &&Operation| !matches!(operation.op, Op::Live { .. } | Op::FinalRead { .. });
    let ended = |operation: &&Operation| operation.seen_ns != u64::MAX;
    let of_note = history.operations.iter().filter(waits).filter(ended);
    of_note.map(|operation| (operation, operation.seen_ns - operation.invoke_ns))
}

fn share(latency_ns: u64) -> f64 {
    ((latency_ns as f64 / 1e5).max(1.0).log10() / DECADES).min(1.0)
}

fn levels(canvas: &mut Canvas) {
    for (decade, text) in ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"]
        .iter()
        .enumerate()
    {
        canvas.level(decade as f64 / DECADES, text);
    }
}

/// Every operation: when it was asked, how long it took, how it ended.
pub(super) fn scatter(history: &History) -> String {
    let mut canvas = Canvas::of_run(260.0, history);
    levels(&mut canvas);
    let stride = timed(history).count().div_ceil(DOTS).max(1);
    for colour in [OK, FAIL, INFO] {
        let mut dots = String::new();
        for (place, (operation, latency_ns)) in timed(history).enumerate() {
            let drawn = place.is_multiple_of(stride) || colour == INFO;
            if drawn && outcome_colour(&operation.outcome) == colour {
                // A dot is a line without length and with round ends.
                let _ = write!(
                    dots,
                    "M{:.1} {:.1}h0",
                    canvas.x(operation.invoke_ns),
                    canvas.y(share(latency_ns))
                );
            }
        }
        canvas.put(format_args!("<path class=\"d\" stroke=\"{colour}\" d=\"{dots}\"/>"));
    }
    canvas.finish()
}

/// The 50th, 95th and 99th percentile, and the largest, of what succeeded.
pub(super) fn percentiles(history: &History) -> String {
    let mut canvas = Canvas::of_run(260.0, history);
    levels(&mut canvas);
    let bucket_ns = (history.end_ns() / BUCKETS).max(250_000_000);
    let mut buckets: Vec<Vec<u64>> = Vec::new();
    for (operation, latency_ns) in timed(history) {
        // A refusal is quick, and an unknown outcome is as slow as the client is patient.
        if !matches!(operation.outcome, Outcome::Ok(_)) {
            continue;
        }
        let bucket = usize::try_from(operation.invoke_ns / bucket_ns).unwrap_or(usize::MAX - 1);
        buckets.resize_with(buckets.len().max(bucket + 1), Vec::new);
        buckets[bucket].push(latency_ns);
    }
    for bucket in &mut buckets {
        bucket.sort_unstable();
    }
    for (percent, colour) in [(100, "#d9c3c7"), (99, "#c0152f"), (95, "#e08a1e"), (50, OK)] {
        line(&mut canvas, &buckets, bucket_ns, percent, colour);
    }
    canvas.finish()
}

fn line(canvas: &mut Canvas, buckets: &[Vec<u64>], bucket_ns: u64, percent: usize, colour: &str) {
    let (mut path, mut pen) = (String::new(), 'M');
    for (place, bucket) in buckets.iter().enumerate() {
        let Some(last) = bucket.len().checked_sub(1) else {
            // Nothing succeeded then: the line breaks off.
            pen = 'M';
            continue;
        };
        let latency_ns = bucket[(bucket.len() * percent / 100).min(last)];
        let middle_ns = place as u64 * bucket_ns + bucket_ns / 2;
        let _ = write!(
            path,
            "{pen}{:.1} {:.1}",
            canvas.x(middle_ns),
            canvas.y(share(latency_ns))
        );
        // A single point shows as a dot.
        if pen == 'M' {
            path.push_str("h0");
        }
        pen = 'L';
    }
    canvas.put(format_args!("<path class=\"p\" stroke=\"{colour}\" d=\"{path}\"/>"));
}
