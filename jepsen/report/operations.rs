//! Single operations over a short stretch of time, each a bar: around an error, or around the first fault.

use super::canvas::{BAD, Canvas, WIDTH, escape, outcome_colour, short, spans};
use crate::check::{Judgement, Verdict};
use crate::history::{Fault, History, Op, Operation, Outcome};

const ROW: f64 = 16.0;

/// More operations in one picture cannot be told apart.
const MOST: usize = 300;

/// So many are enough to see what a fault does.
const FEW: usize = 150;

/// More rows do not fit a screen.
const ROWS: usize = 40;

/// One picture with its heading.
pub(super) struct Close {
    pub(super) title: String,
    pub(super) svg: String,
}

/// A picture for the first error of each checker that found one, three at most; without errors one of the first fault.
pub(super) fn draw(history: &History, judgement: &Judgement) -> Vec<Close> {
    let wrong = judgement
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Invalid);
    let errors = wrong.filter_map(|check| check.examples.first().map(|example| (check.name, example)));
    let mut pictures: Vec<Close> = errors
        .take(3)
        .filter_map(|(name, example)| {
            let svg = around(history, &example.events)?;
            let title = format!("{name}: {} — {}", example.kind, example.text);
            Some(Close { title, svg })
        })
        .collect();
    if pictures.is_empty() {
        pictures.extend(first_fault(history));
    }
    pictures
}

fn first_fault(history: &History) -> Option<Close> {
    let spans = spans(history);
    let span = spans.iter().find(|span| span.effect == Some(true)).or(spans.first())?;
    let Fault { name, targets, .. } = span.fault;
    let from_ns = span.begin_ns.saturating_sub(100_000_000);
    // As long as single operations can be told apart.
    let after = history
        .operations
        .iter()
        .filter(|operation| operation.invoke_ns >= from_ns);
    let to_ns = after.map(|operation| operation.invoke_ns).nth(FEW).unwrap_or(u64::MAX);
    let to_ns = to_ns.clamp(span.begin_ns + 200_000_000, span.begin_ns + 3_000_000_000);
    let svg = window(history, from_ns, to_ns, &[]);
    let title = format!("the first fault: {name} {}", targets.join(" "));
    Some(Close { title, svg })
}

/// The time around the first of the events; where all lie close together, around all.
fn around(history: &History, events: &[u64]) -> Option<String> {
    let shown: Vec<&Operation> = history
        .operations
        .iter()
        .filter(|operation| events.contains(&operation.index))
        .collect();
    let first = shown.first()?;
    let begin_ns = first.invoke_ns;
    let close = |operation: &&&Operation| operation.invoke_ns < begin_ns + 3_000_000_000;
    let end_of = |operation: &&Operation| operation.seen_ns.min(operation.invoke_ns + 2_000_000_000);
    let end_ns = shown.iter().filter(close).map(end_of).max()?;
    let pad_ns = ((end_ns - begin_ns) / 4).clamp(5_000_000, 200_000_000);
    Some(window(
        history,
        begin_ns.saturating_sub(pad_ns),
        end_ns + pad_ns,
        events,
    ))
}

fn window(history: &History, from_ns: u64, to_ns: u64, marked: &[u64]) -> String {
    let inside = |operation: &&Operation| operation.invoke_ns < to_ns && operation.seen_ns > from_ns;
    let is_marked = |operation: &Operation| marked.contains(&operation.index);
    // The marked ones are shown in any case, and those of their streams before others.
    let streams: Vec<&str> = history
        .operations
        .iter()
        .filter(|operation| is_marked(operation))
        .map(|operation| operation.op.stream())
        .collect();
    let mut shown: Vec<&Operation> = history.operations.iter().filter(inside).collect();
    shown.sort_by_key(|operation| {
        (
            !is_marked(operation),
            !streams.contains(&operation.op.stream()),
            operation.index,
        )
    });
    shown.truncate(MOST);
    shown.sort_by_key(|operation| operation.index);
    let rows = rows(&shown, &is_marked);
    let count = rows.iter().flatten().max().map_or(1, |row| row + 1);
    let mut canvas = Canvas::new(ROW * count as f64, from_ns, to_ns);
    canvas.shade(history);
    for (operation, row) in shown.iter().zip(rows) {
        if let Some(row) = row {
            bar(&mut canvas, operation, row, count, is_marked(operation));
        }
    }
    canvas.finish()
}

/// Each operation gets the first row that is free when it begins; what finds none is left out, unless it is marked.
fn rows(shown: &[&Operation], is_marked: &impl Fn(&Operation) -> bool) -> Vec<Option<usize>> {
    let mut free_from: Vec<u64> = Vec::new();
    let place = |operation: &&Operation| {
        let free = free_from.iter().position(|free_ns| *free_ns <= operation.invoke_ns);
        let row = free.or_else(|| {
            (free_from.len() < ROWS || is_marked(operation)).then(|| {
                free_from.push(0);
                free_from.len() - 1
            })
        })?;
        free_from[row] = operation.seen_ns;
        Some(row)
    };
    shown.iter().map(place).collect()
}

fn bar(canvas: &mut Canvas, operation: &Operation, row: usize, count: usize, is_marked: bool) {
    let (top, height) = canvas.row(row, count);
    let (x, end) = (canvas.x(operation.invoke_ns), canvas.x(operation.seen_ns));
    let width = (end - x).max(2.0);
    let colour = outcome_colour(&operation.outcome);
    let edge = if is_marked { BAD } else { "none" };
    let text = describe(operation);
    let (top, height) = (top + 1.5, height - 3.0);
    canvas.put(format_args!(
        "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" stroke=\"{edge}\" stroke-width=\"2.5\"><title>{}</title></rect>",
        escape(&text)
    ));
    let fits = ((width - 6.0) / 6.2).max(0.0) as usize;
    if fits >= 8 && x + width <= WIDTH {
        canvas.put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"in\" fill=\"#fff\">{}</text>",
            x + 3.0,
            top + height - 3.0,
            escape(&text.chars().take(fits).collect::<String>())
        ));
    }
}

/// An operation in a line: `append q0 3-7 -> 200, next 120 (n2, process 3, event 17)`.
pub(super) fn describe(operation: &Operation) -> String {
    let mut text = format!("{} {}", operation.op.f(), short(operation.op.stream(), 24));
    if let Op::Append { messages, .. } = &operation.op
        && let Some(first) = messages.first()
    {
        text.push_str(&format!(" {first}"));
        if messages.len() > 1 {
            text.push_str(&format!(" and {} more", messages.len() - 1));
        }
    }
    match &operation.outcome {
        Outcome::Ok(answer) => {
            text.push_str(&format!(" → {}", answer.status));
            if let Some(next) = answer.next {
                text.push_str(&format!(", next {next}"));
            }
            if !answer.messages.is_empty() {
                text.push_str(&format!(", {} messages", answer.messages.len()));
            }
            if answer.closed {
                text.push_str(", closed");
            }
        }
        Outcome::Fail(failure) => text.push_str(&format!(" → {}", failure.code)),
        Outcome::Info(failure) => {
            text.push_str(&format!(
                " → unknown: {}",
                failure.as_ref().map_or("no end", |failure| failure.code.as_str())
            ));
        }
    }
    let node = operation.node.map_or(String::new(), |node| format!("n{node}, "));
    text.push_str(&format!(
        " ({node}process {}, event {})",
        operation.process, operation.index
    ));
    text
}
