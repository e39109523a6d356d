//! What broke, when: one row per kind of fault, and the turns of the run.

use super::canvas::{Canvas, escape, fault_colour, spans};
use crate::history::{History, Mark};

/// One row of the picture, in pixels.
const ROW: f64 = 26.0;

/// One fault in words.
pub(super) struct Told {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) name: String,
    pub(super) targets: String,
    pub(super) nothing: bool,
    pub(super) evidence: String,
}

/// All faults in words, by their begin.
pub(super) fn tell(history: &History) -> Vec<Told> {
    let seconds = |time_ns: u64| format!("{:.1} s", time_ns as f64 / 1e9);
    let told = spans(history).into_iter().map(|span| Told {
        from: seconds(span.begin_ns),
        to: seconds(span.end_ns),
        name: span.fault.name.clone(),
        targets: span.fault.targets.join(" "),
        nothing: span.effect == Some(false),
        evidence: span.evidence,
    });
    told.collect()
}

pub(super) fn draw(history: &History) -> String {
    let spans = spans(history);
    let mut kinds: Vec<&str> = spans.iter().map(|span| span.fault.name.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let rows = kinds.len() + 1;
    let mut canvas = Canvas::new(ROW * rows as f64, 0, history.end_ns());
    marks(&mut canvas, history, rows);
    for (place, kind) in kinds.iter().enumerate() {
        let (top, height) = canvas.row(place + 1, rows);
        canvas.label(top + height / 2.0, kind);
        for span in spans.iter().filter(|span| span.fault.name == *kind) {
            let (x, end) = (canvas.x(span.begin_ns), canvas.x(span.end_ns));
            let width = (end - x).max(3.0);
            let colour = fault_colour(kind);
            // What did nothing is hollow.
            let fill = if span.effect == Some(false) { "none" } else { colour };
            let targets = escape(&span.fault.targets.join(" "));
            let seconds = (span.end_ns - span.begin_ns) as f64 / 1e9;
            canvas.put(format_args!(
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{fill}\" stroke=\"{colour}\"><title>{kind} {targets}, {seconds:.1} s: {}</title></rect>",
                top + 4.0,
                height - 8.0,
                escape(&span.evidence)
            ));
            // As much of the text as fits, in characters of about six pixels.
            if width > 6.0 * targets.len() as f64 + 8.0 {
                let ink = if fill == "none" { colour } else { "#fff" };
                canvas.put(format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{ink}\" class=\"in\">{targets}</text>",
                    x + 4.0,
                    top + height / 2.0 + 4.0
                ));
            }
        }
    }
    canvas.finish()
}

fn marks(canvas: &mut Canvas, history: &History, rows: usize) {
    let (top, height) = canvas.row(0, rows);
    canvas.label(top + height / 2.0, "run");
    // Labels that would lie on each other are left out; the lines stay.
    let mut free_from = 0.0;
    for (_, time_ns, mark) in &history.marks {
        let text = match mark {
            Mark::Started => "load",
            Mark::Healed => "healed",
            Mark::Converged => "converged",
            Mark::NotConverged => "not converged",
            Mark::Ended => "end",
        };
        let x = canvas.x(*time_ns);
        canvas.put(format_args!(
            "<path class=\"m\" d=\"M{x:.1} {top}v{height}\"><title>{text}</title></path>"
        ));
        let width = 6.5 * text.len() as f64 + 8.0;
        if x >= free_from && x + width < super::canvas::WIDTH {
            canvas.put(format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" class=\"mt\">{text}</text>",
                x + 4.0,
                top + height / 2.0 + 4.0
            ));
            free_from = x + width;
        }
    }
}
