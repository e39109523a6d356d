//! What a checker says.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How many examples of one kind of error are kept; all are counted.
const EXAMPLES_PER_KIND: u64 = 5;

/// A judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There was nothing of the kind to check, and the workload is not for it.
    NotApplicable,
    /// Checked, and nothing is wrong.
    Valid,
    /// Too little happened to tell.
    Unknown,
    /// A promise was broken.
    Invalid,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotApplicable => "not applicable",
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The kind of error, stable: `lost-suffix`.
    pub kind: &'static str,
    /// What happened, in words.
    pub text: String,
    /// The events that show it.
    pub events: Vec<u64>,
}

/// What one checker found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The checker.
    pub name: &'static str,
    /// Its judgement.
    pub verdict: Verdict,
    /// Why it is unknown, if it is.
    pub why: String,
    /// How many errors of each kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Some of them.
    pub examples: Vec<Example>,
    /// What was looked at, and other figures.
    pub statistics: BTreeMap<&'static str, u64>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Became {
    /// Refused: never done.
    Refused,
    /// Acknowledged, and there.
    Stored,
    /// Of unknown outcome, and not there.
    Absent,
    /// Of unknown outcome, and there.
    Found,
    /// Acknowledged, and missing somewhere.
    Lost,
}

/// One write, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFate {
    /// The invoke.
    pub index: u64,
    /// Where it was to go.
    pub stream: String,
    /// What became of it.
    pub became: Became,
}

/// A check under way.
#[derive(Debug)]
pub(crate) struct Findings {
    check: Check,
    evidence: u64,
}

impl Findings {
    pub(crate) fn new(name: &'static str) -> Self {
        let check = Check {
            name,
            verdict: Verdict::NotApplicable,
            why: String::new(),
            errors: BTreeMap::new(),
            examples: Vec::new(),
            statistics: BTreeMap::new(),
        };
        Self { check, evidence: 0 }
    }

    /// Something is wrong; `events` show it.
    pub(crate) fn error(&mut self, kind: &'static str, events: &[u64], text: impl FnOnce() -> String) {
        let count = self.check.errors.entry(kind).or_default();
        *count += 1;
        if *count <= EXAMPLES_PER_KIND {
            self.check.examples.push(Example {
                kind,
                text: text(),
                events: events.to_vec(),
            });
        }
    }

    /// `n` things of this sort were checked: the judgement rests on them.
    pub(crate) fn checked(&mut self, what: &'static str, n: u64) {
        self.evidence += n;
        self.figure(what, n);
    }

    /// A figure that the judgement does not rest on.
    pub(crate) fn figure(&mut self, what: &'static str, n: u64) {
        *self.check.statistics.entry(what).or_default() += n;
    }

    /// A figure of which the largest counts.
    pub(crate) fn largest(&mut self, what: &'static str, n: u64) {
        let figure = self.check.statistics.entry(what).or_default();
        *figure = n.max(*figure);
    }

    /// It cannot be told; an error still counts for more.
    pub(crate) fn undecided(&mut self, why: impl Into<String>) {
        if !self.check.why.is_empty() {
            self.check.why.push_str("; ");
        }
        self.check.why.push_str(&why.into());
    }

    pub(crate) fn finish(mut self) -> Check {
        self.check.verdict = if !self.check.errors.is_empty() {
            Verdict::Invalid
        } else if !self.check.why.is_empty() {
            Verdict::Unknown
        } else if self.evidence == 0 {
            Verdict::NotApplicable
        } else {
            Verdict::Valid
        };
        self.check
    }
}
