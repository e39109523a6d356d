//! What all pictures have in common: a time axis in seconds, faults in the background, colours.

use std::fmt::{self, Write};

use crate::history::{Fault, History, Outcome, Stage};

/// The width of all pictures, in pixels.
pub(super) const WIDTH: f64 = 1100.0;
/// Room for labels on the left.
pub(super) const LEFT: f64 = 176.0;
/// Room on the right.
const RIGHT: f64 = 14.0;
/// Room for the time axis below.
const BOTTOM: f64 = 34.0;
/// Room above.
const TOP: f64 = 10.0;

/// Colours that people who see few colours can tell apart.
pub(super) const OK: &str = "#3b76af";
pub(super) const FAIL: &str = "#9a9a9a";
pub(super) const INFO: &str = "#e08a1e";
pub(super) const BAD: &str = "#c0152f";

const FAULTS: [(&str, &str); 14] = [
    ("crash", BAD),
    ("kill", "#cc6677"),
    ("pause", "#b8a227"),
    ("partition", "#4f9ecf"),
    ("packet", "#44aa99"),
    ("clock", "#aa4499"),
    ("power", "#882255"),
    ("disk", "#8a8a2b"),
    ("damage", "#774411"),
    ("old-copy", "#774411"),
    ("wipe", "#774411"),
    ("replace", "#117733"),
    ("member", "#117733"),
    ("transfer", "#5aa469"),
];

/// The colour of a fault, by its name.
pub(super) fn fault_colour(name: &str) -> &'static str {
    let known = FAULTS.iter().find(|(kind, _)| name.starts_with(kind));
    known.map_or("#777777", |(_, colour)| colour)
}

pub(super) const fn outcome_colour(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Ok(_) => OK,
        Outcome::Fail(_) => FAIL,
        Outcome::Info(_) => INFO,
    }
}

/// A fault from its begin to its end.
pub(super) struct Span<'h> {
    pub(super) fault: &'h Fault,
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    /// Whether either end says that it did something.
    pub(super) effect: Option<bool>,
    /// What its ends say.
    pub(super) evidence: String,
}

/// The faults, by their begin. One without an end lasts until the history ends; a single blow has no length.
pub(super) fn spans(history: &History) -> Vec<Span<'_>> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    for (_, time_ns, fault) in &history.faults {
        let open = spans.iter_mut().rev().find(|span| span.fault.id == fault.id);
        match (fault.stage, open) {
            (Stage::End, Some(span)) => {
                span.end_ns = *time_ns;
                span.effect = fault.effect.or(span.effect);
                if !fault.evidence.is_empty() {
                    if !span.evidence.is_empty() {
                        span.evidence.push_str("; ");
                    }
                    span.evidence.push_str(&fault.evidence);
                }
            }
            _ => spans.push(Span {
                fault,
                begin_ns: *time_ns,
                end_ns: history.end_ns(),
                effect: fault.effect,
                evidence: fault.evidence.clone(),
            }),
        }
    }
    spans
}

/// One picture.
pub(super) struct Canvas {
    svg: String,
    height: f64,
    from_ns: u64,
    to_ns: u64,
}

impl Canvas {
    /// A picture with a plot of `height` pixels over a stretch of time.
    pub(super) fn new(height: f64, from_ns: u64, to_ns: u64) -> Self {
        let mut canvas = Self {
            svg: String::new(),
            height,
            from_ns,
            to_ns: to_ns.max(from_ns + 1_000_000),
        };
        let whole = height + TOP + BOTTOM;
        canvas.put(format_args!(
            "<svg viewBox=\"0 0 {WIDTH} {whole}\" width=\"{WIDTH}\" height=\"{whole}\" role=\"img\">"
        ));
        canvas
    }

    /// A picture of the whole run.
    pub(super) fn of_run(height: f64, history: &History) -> Self {
        let mut canvas = Self::new(height, 0, history.end_ns());
        canvas.shade(history);
        canvas
    }

    /// Adds to the picture.
    pub(super) fn put(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.svg.write_fmt(what);
        self.svg.push('\n');
    }

    /// Where a time lies.
    pub(super) fn x(&self, time_ns: u64) -> f64 {
        let share =
            (time_ns.clamp(self.from_ns, self.to_ns) - self.from_ns) as f64 / (self.to_ns - self.from_ns) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// Where a share of the height lies: 0 at the bottom, 1 at the top.
    pub(super) fn y(&self, share: f64) -> f64 {
        TOP + (1.0 - share.clamp(0.0, 1.0)) * self.height
    }

    /// The `place`-th of `count` rows from the top: its upper edge and its height.
    pub(super) fn row(&self, place: usize, count: usize) -> (f64, f64) {
        let height = self.height / count.max(1) as f64;
        (TOP + place as f64 * height, height)
    }

    /// A label on the left.
    pub(super) fn label(&mut self, y: f64, text: &str) {
        let text = escape(&short(text, 26));
        self.put(format_args!(
            "<text x=\"{}\" y=\"{:.1}\" class=\"l\">{text}</text>",
            LEFT - 8.0,
            y + 4.0
        ));
    }

    /// A horizontal line with its label.
    pub(super) fn level(&mut self, share: f64, text: &str) {
        let y = self.y(share);
        let right = WIDTH - RIGHT;
        self.put(format_args!("<path class=\"g\" d=\"M{LEFT} {y:.1}H{right}\"/>"));
        self.label(y, text);
    }

    /// Faults in the background.
    pub(super) fn shade(&mut self, history: &History) {
        for span in spans(history) {
            let (x, end) = (self.x(span.begin_ns), self.x(span.end_ns));
            let (y, width, height) = (self.y(1.0), (end - x).max(1.0), self.height);
            let colour = fault_colour(&span.fault.name);
            let name = escape(&span.fault.name);
            self.put(format_args!(
                "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\" opacity=\".13\"><title>{name}</title></rect>"
            ));
        }
    }

    /// The time axis, and the end of the picture.
    pub(super) fn finish(mut self) -> String {
        let (bottom, right) = (TOP + self.height, WIDTH - RIGHT);
        let height = self.height;
        self.put(format_args!("<path class=\"a\" d=\"M{LEFT} {TOP}v{height}H{right}\"/>"));
        let step_ns = step_ns(self.to_ns - self.from_ns);
        let mut tick_ns = self.from_ns.div_ceil(step_ns) * step_ns;
        while tick_ns <= self.to_ns {
            let x = self.x(tick_ns);
            let seconds = tick_ns as f64 / 1e9;
            self.put(format_args!(
                "<path class=\"a\" d=\"M{x:.1} {bottom}v5\"/><text x=\"{x:.1}\" y=\"{}\" class=\"t\">{seconds} s</text>",
                bottom + 20.0
            ));
            tick_ns += step_ns;
        }
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// A round step, so that there are about ten.
fn step_ns(length_ns: u64) -> u64 {
    let mut step = 1_000_000;
    for factor in [2, 5, 10].into_iter().cycle().scan(0u32, |turn, factor| {
        *turn += 1;
        Some(factor * 10u64.pow((*turn - 1) / 3))
    }) {
        if length_ns / step <= 12 {
            break;
        }
        step = factor * 1_000_000;
    }
    step
}

/// Text for HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// At most `most` characters: of longer texts the end, as names differ there.
pub(super) fn short(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length - most + 1).collect();
    format!("…{end}")
}
