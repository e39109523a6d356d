//! Operations per second, by outcome, stacked.

use super::canvas::{Canvas, FAIL, INFO, OK};
use crate::history::{History, Outcome};

/// Into how many bars the run is cut at most.
const BARS: u64 = 120;

pub(super) fn draw(history: &History) -> String {
    let bar_ns = (history.end_ns() / BARS).max(250_000_000);
    let mut bars: Vec<[u64; 3]> = Vec::new();
    for operation in &history.operations {
        let bar = usize::try_from(operation.invoke_ns / bar_ns).unwrap_or(usize::MAX - 1);
        bars.resize(bars.len().max(bar + 1), [0; 3]);
        let kind = match operation.outcome {
            Outcome::Ok(_) => 0,
            Outcome::Fail(_) => 1,
            Outcome::Info(_) => 2,
        };
        bars[bar][kind] += 1;
    }
    let per_second = |count: u64| count as f64 * 1e9 / bar_ns as f64;
    let highest = bars.iter().map(|bar| per_second(bar.iter().sum())).fold(0.0, f64::max);
    let top = round_up(highest);
    let mut canvas = Canvas::of_run(180.0, history);
    for part in 0..=4u32 {
        let share = f64::from(part) / 4.0;
        canvas.level(share, &format!("{} /s", top * share));
    }
    for (place, bar) in bars.iter().enumerate() {
        let begin_ns = place as u64 * bar_ns;
        let (x, end) = (canvas.x(begin_ns), canvas.x(begin_ns + bar_ns));
        let mut below = 0;
        // Unknown ones at the bottom, where they can be compared.
        for (kind, colour) in [(2, INFO), (0, OK), (1, FAIL)] {
            if bar[kind] == 0 {
                continue;
            }
            let low = canvas.y(per_second(below) / top);
            below += bar[kind];
            let high = canvas.y(per_second(below) / top);
            canvas.put(format_args!(
                "<rect x=\"{x:.1}\" y=\"{high:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                (end - x - 0.6).max(0.6),
                low - high
            ));
        }
    }
    canvas.finish()
}

/// The next of 1, 2, 4, 8 times a power of ten: quarters of it are round enough to read.
fn round_up(value: f64) -> f64 {
    let mut top = 1.0;
    while top * 8.0 < value {
        top *= 10.0;
    }
    [1.0, 2.0, 4.0, 8.0]
        .into_iter()
        .map(|factor| factor * top)
        .find(|top| *top >= value)
        .unwrap_or(top * 10.0)
}
