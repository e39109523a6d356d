//! What the page says.

use std::collections::BTreeMap;

use askama::Template;

use super::{fates, faults, latency, operations, rate};
use crate::check::{self, Became, Check, Judgement, Verdict};
use crate::history::{History, Operation, Run};

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'h> {
    run: &'h Run,
    nemeses: String,
    verdict: Verdict,
    torn: bool,
    events: usize,
    figures: Vec<(&'static str, u64)>,
    checks: Vec<Row>,
    errors: Vec<Wrong>,
    faults: String,
    told: Vec<faults::Told>,
    scatter: String,
    percentiles: String,
    rate: String,
    fates: String,
    became: Vec<(&'static str, &'static str, u64)>,
    closeups: Vec<operations::Close>,
}

/// A checker's line in the table.
struct Row {
    name: &'static str,
    promise: &'static str,
    verdict: Verdict,
    class: &'static str,
    remark: String,
    statistics: String,
}

/// One thing that is wrong, with its events.
struct Wrong {
    checker: &'static str,
    kind: &'static str,
    text: String,
    events: Vec<(u64, String, String)>,
}

/// The whole report as one HTML page.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn html(history: &History, judgement: &Judgement) -> Result<String, askama::Error> {
    let written = check::fates(history);
    let run_check = judgement.checks.iter().find(|check| check.name == "run");
    let figure = |name: &str| {
        run_check
            .and_then(|check| check.statistics.get(name).copied())
            .unwrap_or(0)
    };
    let page = Page {
        run: &history.run,
        nemeses: match history.run.nemeses.as_slice() {
            [] => "none".to_owned(),
            nemeses => nemeses.join(", "),
        },
        verdict: judgement.verdict,
        torn: history.torn,
        events: history.events.len(),
        figures: vec![
            ("ok", figure("ok")),
            ("refused", figure("fail")),
            ("unknown", figure("info")),
        ],
        checks: judgement.checks.iter().map(row).collect(),
        errors: wrong(history, judgement),
        faults: faults::draw(history),
        told: faults::tell(history),
        scatter: latency::scatter(history),
        percentiles: latency::percentiles(history),
        rate: rate::draw(history),
        became: became(&fates::counts(&written)),
        fates: fates::draw(history, &written),
        closeups: operations::draw(history, judgement),
    };
    page.render()
}

const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::Invalid => "invalid",
        Verdict::Unknown => "unknown",
        Verdict::NotApplicable => "none",
    }
}

fn row(check: &Check) -> Row {
    let list = |pairs: &BTreeMap<&'static str, u64>| {
        let words = pairs.iter().map(|(name, n)| format!("{} {n}", name.replace('-', " ")));
        words.collect::<Vec<_>>().join(", ")
    };
    let counted: BTreeMap<&'static str, u64> = check.errors.clone();
    Row {
        name: check.name,
        promise: check::promise(check.name),
        verdict: check.verdict,
        class: class(check.verdict),
        remark: if counted.is_empty() {
            check.why.clone()
        } else {
            list(&counted)
        },
        statistics: list(&check.statistics),
    }
}

fn wrong(history: &History, judgement: &Judgement) -> Vec<Wrong> {
    let by_index: BTreeMap<u64, &Operation> = history
        .operations
        .iter()
        .map(|operation| (operation.index, operation))
        .collect();
    let line = |index: &u64| {
        let event = usize::try_from(*index).ok().and_then(|index| history.events.get(index));
        let time = event.map_or(String::new(), |event| format!("{:.3} s", event.time_ns as f64 / 1e9));
        let text = match (by_index.get(index), event) {
            (Some(operation), _) => operations::describe(operation),
            (None, Some(event)) => event
                .value()
                .map_or(String::new(), |value| format!("{} {value}", event.f)),
            (None, None) => String::new(),
        };
        (*index, time, text)
    };
    let all = judgement
        .checks
        .iter()
        .flat_map(|check| check.examples.iter().map(|example| (check.name, example)));
    let rows = all.map(|(checker, example)| Wrong {
        checker,
        kind: example.kind,
        text: example.text.clone(),
        events: example.events.iter().map(line).collect(),
    });
    rows.collect()
}

/// What became of the writes: class, words, count.
fn became(counts: &BTreeMap<Became, u64>) -> Vec<(&'static str, &'static str, u64)> {
    let rows = [
        (Became::Stored, "ok", "acknowledged and there"),
        (Became::Refused, "fail", "refused"),
        (Became::Found, "info", "unknown, and there"),
        (Became::Absent, "pale", "unknown, and not there"),
        (Became::Lost, "bad", "acknowledged and lost"),
    ];
    let count = |became| counts.get(&became).copied().unwrap_or(0);
    rows.map(|(kind, class, words)| (class, words, count(kind))).to_vec()
}
