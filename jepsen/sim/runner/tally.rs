//! What many seeds did together.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Report;
use crate::invariant::Counts;

/// Sums over seeds, and those that failed.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    seeds: u64,
    elapsed_ms: u64,
    operations: u64,
    succeeded: u64,
    ends: u64,
    lost_sectors: u64,
    verdicts: BTreeMap<String, u64>,
    faults: BTreeMap<String, u64>,
    counts: Counts,
    failed: BTreeMap<u64, (String, String)>,
}

impl Tally {
    /// Takes one in.
    pub fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.elapsed_ms += report.elapsed_ms;
        self.operations += report.operations;
        self.succeeded += report.succeeded;
        self.ends += report.ends;
        self.lost_sectors += report.lost_sectors;
        *self.verdicts.entry(report.verdict.clone()).or_default() += 1;
        for (kind, count) in &report.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        self.counts.add(report.counts);
        if let Some(violation) = &report.violation {
            let found = (violation.clone(), report.repeat.clone());
            self.failed.insert(report.seed, found);
        }
    }

    /// The seeds that failed, what did not hold, and the command that repeats it.
    #[must_use]
    pub const fn failed(&self) -> &BTreeMap<u64, (String, String)> {
        &self.failed
    }

    /// How many seeds there were.
    #[must_use]
    pub const fn seeds(&self) -> u64 {
        self.seeds
    }
}

fn listed(of: &BTreeMap<String, u64>) -> String {
    let pairs: Vec<String> = of.iter().map(|(name, count)| format!("{name} {count}")).collect();
    pairs.join(", ")
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_secs(self.elapsed_ms / 1000);
        writeln!(f, "{} seeds, {} failed", self.seeds, self.failed.len())?;
        writeln!(
            f,
            "simulated time {time:?}, {} operations ({} succeeded), verdicts: {}",
            self.operations,
            self.succeeded,
            listed(&self.verdicts)
        )?;
        writeln!(
            f,
            "process ends {}, sectors lost {}, faults: {}",
            self.ends,
            self.lost_sectors,
            listed(&self.faults)
        )?;
        writeln!(f, "checked: {:?}", self.counts)?;
        for (seed, (violation, repeat)) in &self.failed {
            writeln!(f, "seed {seed} failed: {violation}\n  repeat: {repeat}")?;
        }
        Ok(())
    }
}
