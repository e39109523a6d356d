//! Which run is for which bug.

use weir_mutant::Mutant;

use crate::nemesis::Kind;
use crate::profile::plan::Plan;
use crate::workload::Workload;

/// So little of the log that a follower that was away for seconds needs a snapshot.
const SHORT_LOG: (&str, &str) = ("keep_log_bytes", "4096");

/// A run, and the settings that it needs.
#[derive(Debug, Clone)]
pub(super) struct MutantPlan {
    pub(super) mutant: Mutant,
    pub(super) run: Plan,
    set: &'static [(&'static str, &'static str)],
}

impl MutantPlan {
    pub(super) fn with_seed(&self, seed: u64) -> Self {
        let mut plan = self.clone();
        plan.run.seed = seed;
        plan
    }

    /// The settings as the command line has them.
    pub(super) fn settings(&self) -> Vec<String> {
        let settings: Vec<String> = self.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
        match settings.as_slice() {
            [] => Vec::new(),
            some => vec!["--set".to_owned(), some.join(",")],
        }
    }
}

/// The run that should find it.
pub(super) fn of(mutant: Mutant) -> MutantPlan {
    let (workload, nemeses, time_s): (_, &[Kind], _) = match mutant {
        // What was acknowledged and not synced is gone when all lose power.
        Mutant::AnswerBeforeFsync => (Workload::Queue, &[Kind::PowerAll], 30),
        // A leader that reaches nobody goes on acknowledging until it notices.
        Mutant::AnswerBeforeQuorum => (Workload::Queue, &[Kind::Partition], 40),
        // A follower is always a little behind, and far behind when it is cut off.
        Mutant::ReadWithoutBarrier => (Workload::Tail, &[Kind::Partition], 30),
        // Who got a snapshot leads later, and refuses the next number or takes an old one for new.
        Mutant::ForgetProducers => (Workload::Producer, &[Kind::Kill, Kind::Partition], 40),
        // One of the two that have an entry forgets it, and votes for the one that never had it.
        Mutant::ReuseReplicaId => (Workload::Queue, &[Kind::Amnesia], 60),
        // An old leader's followers had entries that the new one has not.
        Mutant::DropLastOnTruncate => (Workload::Queue, &[Kind::Partition], 45),
        Mutant::SkipRowInSnapshot => (Workload::Queue, &[Kind::Kill, Kind::Partition], 40),
        // One replica removes what the others keep.
        Mutant::ExpireByLocalClock => (Workload::Ttl, &[Kind::Clock], 45),
        Mutant::SkipAfterReconnect => (Workload::Live, &[Kind::Partition], 25),
        // The source is deleted while nobody keeps it for the fork.
        Mutant::ForkBeforeRetain => (Workload::Fork, &[Kind::Partition, Kind::Kill], 45),
    };
    let mut run = Plan::new(workload, nemeses, time_s, 1);
    if mutant == Mutant::ReuseReplicaId {
        // Whose disk is lost must be let in again while two of its group's three replicas are away.
        run.nodes = 5;
    }
    let needs_snapshots = matches!(mutant, Mutant::ForgetProducers | Mutant::SkipRowInSnapshot);
    MutantPlan {
        mutant,
        run,
        set: if needs_snapshots { &[SHORT_LOG] } else { &[] },
    }
}

#[cfg(test)]
mod tests {
    use weir_mutant::MUTANTS;

    use super::*;

    #[test]
    fn every_bug_has_a_run_of_at_most_a_minute() {
        for (mutant, name) in MUTANTS {
            let plan = of(mutant);
            assert_eq!(plan.mutant, mutant);
            assert!(plan.run.time_s <= 60 && !plan.run.nemeses.is_empty(), "{name}");
            assert_eq!(plan.with_seed(7).run.seed, 7);
        }
    }

    #[test]
    fn settings_are_one_argument() {
        assert_eq!(
            of(Mutant::SkipRowInSnapshot).settings(),
            ["--set", "keep_log_bytes=4096"]
        );
        assert!(of(Mutant::ReadWithoutBarrier).settings().is_empty());
    }
}
