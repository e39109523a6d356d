//! What became of every write, stream by stream: the lost ones, and those of unknown outcome.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::canvas::{BAD, Canvas, FAIL, INFO, OK};
use crate::check::{Became, WriteFate};
use crate::history::History;

/// Streams beyond this share the last row.
const ROWS: usize = 24;

/// How many writes became what.
pub(super) fn counts(fates: &[WriteFate]) -> BTreeMap<Became, u64> {
    let mut counts = BTreeMap::new();
    for fate in fates {
        *counts.entry(fate.became).or_default() += 1;
    }
    counts
}

pub(super) fn draw(history: &History, fates: &[WriteFate]) -> String {
    let mut streams: Vec<&str> = fates.iter().map(|fate| fate.stream.as_str()).collect();
    streams.sort_unstable();
    streams.dedup();
    let rows = streams.len().clamp(1, ROWS);
    let row: HashMap<&str, usize> = streams
        .iter()
        .enumerate()
        .map(|(place, name)| (*name, place.min(rows - 1)))
        .collect();
    let times: HashMap<u64, u64> = history
        .operations
        .iter()
        .map(|operation| (operation.index, operation.invoke_ns))
        .collect();
    let mut canvas = Canvas::of_run(16.0 * rows as f64, history);
    for (place, name) in streams.iter().take(rows).enumerate() {
        let (top, height) = canvas.row(place, rows);
        let more = streams.len() > rows && place + 1 == rows;
        let text = if more {
            format!("{} others", streams.len() - rows + 1)
        } else {
            (*name).to_owned()
        };
        canvas.label(top + height / 2.0, &text);
    }
    // What matters most is drawn last.
    let marks = [
        (Became::Stored, OK, "d s"),
        (Became::Refused, FAIL, "d s"),
        (Became::Absent, "#f0c48a", "d"),
        (Became::Found, INFO, "d"),
        (Became::Lost, BAD, "x"),
    ];
    for (became, colour, class) in marks {
        let mut path = String::new();
        for fate in fates.iter().filter(|fate| fate.became == became) {
            let (Some(time_ns), Some(place)) = (times.get(&fate.index), row.get(fate.stream.as_str())) else {
                continue;
            };
            let (top, height) = canvas.row(*place, rows);
            let (x, y) = (canvas.x(*time_ns), top + height / 2.0);
            let _ = match became {
                Became::Lost => write!(path, "M{:.1} {:.1}l8 8m0 -8l-8 8", x - 4.0, y - 4.0),
                _ => write!(path, "M{x:.1} {y:.1}h0"),
            };
        }
        canvas.put(format_args!(
            "<path class=\"{class}\" stroke=\"{colour}\" d=\"{path}\"/>"
        ));
    }
    canvas.finish()
}
