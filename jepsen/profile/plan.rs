//! Which runs there are.

use super::Profile;
use crate::nemesis::{KINDS, Kind};
use crate::workload::{WORKLOADS, Workload};

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) nemeses: Vec<Kind>,
    pub(crate) nodes: u32,
    /// How many replicas a group has.
    pub(crate) replication: u32,
    /// How long things break, in seconds.
    pub(crate) time_s: u64,
    /// Operations per second.
    pub(crate) rate: u64,
    pub(crate) seed: u64,
}

impl Plan {
    /// Three nodes at 200 operations per second.
    pub(crate) fn new(workload: Workload, nemeses: &[Kind], time_s: u64, seed: u64) -> Self {
        Self {
            workload,
            nemeses: nemeses.to_vec(),
            nodes: 3,
            replication: 3,
            time_s,
            rate: 200,
            seed,
        }
    }

    /// The workload and what breaks, for folders and tables.
    pub(crate) fn name(&self) -> String {
        let nemeses: Vec<&str> = self.nemeses.iter().map(|kind| kind.name()).collect();
        match nemeses.as_slice() {
            [] => format!("{}-none", self.workload.name()),
            few if few.len() <= 3 => format!("{}-{}", self.workload.name(), few.join("+")),
            many => format!("{}-{}-faults", self.workload.name(), many.len()),
        }
    }

    /// As the command line has it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--workload".to_owned(), self.workload.name().to_owned()];
        if !self.nemeses.is_empty() {
            let names: Vec<&str> = self.nemeses.iter().map(|kind| kind.name()).collect();
            arguments.extend(["--nemesis".to_owned(), names.join(",")]);
        }
        for (flag, value) in [
            ("--nodes", u64::from(self.nodes)),
            ("--replication", u64::from(self.replication)),
            ("--time", self.time_s),
            ("--rate", self.rate),
            ("--seed", self.seed),
        ] {
            arguments.extend([flag.to_owned(), value.to_string()]);
        }
        arguments
    }
}

/// The runs of a profile, in order. A night has no end.
pub(super) fn plans(profile: Profile, seed: u64) -> Box<dyn Iterator<Item = Plan>> {
    match profile {
        Profile::Ci => Box::new(ci(seed).into_iter()),
        Profile::Night => Box::new((0..).flat_map(move |round| night(seed + 1000 * round))),
    }
}

fn ci(seed: u64) -> Vec<Plan> {
    use Kind::{Clock, Kill, Packet, Partition, Pause, PowerAll};
    vec![
        Plan::new(Workload::Queue, &[Kill, Pause, Partition], 32, seed),
        Plan::new(Workload::Producer, &[Packet, Kill], 26, seed + 1),
        Plan::new(Workload::Tail, &[Pause, Clock], 26, seed + 2),
        Plan::new(Workload::Live, &[Partition], 22, seed + 3),
        Plan::new(Workload::Queue, &[PowerAll], 22, seed + 4),
    ]
}

/// Every workload with every fault by itself, each also with a second one and every third on five nodes, half of those with
/// five replicas; and all faults together, with every workload in turn. In an order of the seed's, so that the first of them
/// are a sample of all.
fn night(seed: u64) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (round, (first, ..)) in KINDS.iter().enumerate() {
        for (number, (workload, ..)) in WORKLOADS.iter().enumerate() {
            let second = KINDS[(round + number + 1) % KINDS.len()].0;
            let seed = seed + (round * WORKLOADS.len() + number) as u64;
            plans.push(Plan::new(*workload, &[*first], 45, seed));
            let mut pair = Plan::new(*workload, &[*first, second], 60, seed + 500);
            if (round + number) % 3 == 0 {
                pair.nodes = 5;
                pair.replication = if (round + number) % 2 == 0 { 5 } else { 3 };
            }
            plans.push(pair);
        }
        let all: Vec<Kind> = KINDS.iter().map(|(kind, ..)| *kind).collect();
        let workload = WORKLOADS[round % WORKLOADS.len()].0;
        plans.push(Plan::new(workload, &all, 150, seed + 900 + round as u64));
    }
    fastrand::Rng::with_seed(seed).shuffle(&mut plans);
    plans
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_night_has_every_fault_with_every_workload_and_no_run_twice() {
        let plans = night(1);
        for (kind, ..) in KINDS {
            for (workload, ..) in WORKLOADS {
                let has_it = |plan: &&Plan| plan.workload == workload && plan.nemeses == [kind];
                assert_eq!(plans.iter().filter(has_it).count(), 1);
            }
        }
        let distinct: BTreeSet<Vec<String>> = plans.iter().map(Plan::arguments).collect();
        assert_eq!(distinct.len(), plans.len());
        assert!(
            plans
                .iter()
                .all(|plan| plan.nemeses.len() != 2 || plan.nemeses[0] != plan.nemeses[1])
        );
    }

    #[test]
    fn what_guards_every_change_fits_into_five_minutes() {
        // Forming, healing, the last reads and the report take about ten seconds per run.
        let total: u64 = ci(1).iter().map(|plan| plan.time_s + 10).sum();
        assert!(total <= 240, "{total} s");
    }
}
