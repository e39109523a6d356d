//! What must hold after every step, whatever goes wrong (Raft, figure 3, and Weir's own promises).
//!
//! | file | what it holds |
//! |---|---|
//! | `election` | a leader is one process; votes are kept |
//! | `log` | logs agree where they must; what a leader must have |
//! | `commit` | what is applied is the same everywhere, and durable on a majority |
//! | `durable` | what was durable is there after a restart |
//! | `state` | every replica's state is what its log says |
//! | `producers` | the producer table is the fold of the log |
//! | `slots` | one group per stream |
//!
//! After every step: all but the states, which are looked at after some of the changes and all at the end
//! ([`crate::plan::Plan::look_at_one_of`]), and the producer tables, every 50 entries of a group and at the end.
//!
//! Terms here are openraft's: a leader is a term and a replica, so one term may have several leaders one after the
//! other. What Raft says of terms holds for these pairs.

mod commit;
mod durable;
mod election;
mod log;
mod producers;
mod slots;
mod state;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_cluster::{Probe, ReplicaView};
use weir_journal::{Journal, ReplicaKey};

use self::commit::Committed;
pub use self::durable::Durable;
use self::election::Elections;
use self::log::Logs;
use self::slots::Slots;
use self::state::States;
use crate::node::Machine;

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.seen)
    }
}

/// A shorthand for what every check returns.
pub(crate) type Checked = Result<(), Violation>;

pub(crate) fn violated(invariant: &'static str, seen: impl Into<String>) -> Violation {
    Violation {
        invariant,
        seen: seen.into(),
    }
}

/// One replica as a step left it.
pub(crate) struct Replica<'a> {
    pub(crate) node: usize,
    pub(crate) view: &'a ReplicaView,
    pub(crate) machine: &'a Machine,
    pub(crate) journal: &'a Arc<Journal>,
    pub(crate) probe: &'a Probe,
}

impl Replica<'_> {
    pub(crate) fn key(&self) -> ReplicaKey {
        ReplicaKey {
            group: self.view.group,
            replica: self.view.replica,
        }
    }

    /// As violations name it.
    pub(crate) fn name(&self) -> String {
        format!("n{} group {} replica {}", self.node, self.view.group, self.view.replica)
    }
}

/// Calls `check` with every replica of a node, unless its end is near: then there is nothing to be read.
fn each_replica(machine: &Machine, mut check: impl FnMut(&Replica<'_>) -> Checked) -> Checked {
    let Some((probe, journal)) = machine.looked_at() else {
        return Ok(());
    };
    for view in probe.replicas() {
        if journal.failed().is_some() || machine.disk.has_stopped() || machine.disk.has_failed() {
            return Ok(());
        }
        check(&Replica {
            node: machine.number,
            view: &view,
            machine,
            journal: &journal,
            probe: &probe,
        })?;
    }
    Ok(())
}

/// All of them, with what they must remember.
pub struct Invariants {
    logs: Logs,
    committed: Committed,
    durable: Arc<Durable>,
    states: States,
    elections: Elections,
    slots: Slots,
    counts: Counts,
}

/// How much was checked: an invariant that nothing was checked against says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Entries compared with those of other logs.
    pub entries: u64,
    /// Entries that were applied somewhere, and looked for on a majority's disks.
    pub committed: u64,
    /// Elections won.
    pub leaders: u64,
    /// States compared with the replayed log.
    pub states: u64,
    /// Entries that were durable before a restart, and looked for after it.
    pub recovered: u64,
    /// Producers in tables that were compared with the fold of the log.
    pub producers: u64,
}

impl Counts {
    /// Adds another simulation's.
    pub fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.committed += other.committed;
        self.leaders += other.leaders;
        self.states += other.states;
        self.recovered += other.recovered;
        self.producers += other.producers;
    }
}

impl Invariants {
    /// For one simulation.
    #[must_use]
    pub fn new(seed: u64, look_at_one_of: u64) -> Self {
        Self {
            logs: Logs::default(),
            committed: Committed::default(),
            durable: Arc::default(),
            states: States::new(seed, look_at_one_of),
            elections: Elections::default(),
            slots: Slots::default(),
            counts: Counts::default(),
        }
    }

    /// How much was checked.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            recovered: self.durable.checked(),
            producers: self.states.producers(),
            ..self.counts
        }
    }

    /// What recovery has to give back: asked when a journal was opened, before anything else happens to it.
    #[must_use]
    pub fn durable(&self) -> Arc<Durable> {
        Arc::clone(&self.durable)
    }

    /// Looks at every node that runs.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&mut self, machines: &[Rc<Machine>]) -> Checked {
        self.durable.failure()?;
        for machine in machines {
            each_replica(machine, |replica| {
                let (node, group, vote) = (replica.node, replica.view.group, replica.view.vote);
                self.durable.see(node, replica.key());
                self.elections.vote(node, group, vote)?;
                if group == 0 && self.slots.may_differ(node, replica.view.applied) {
                    self.slots.check(node, replica.probe.slots())?;
                }
                self.counts.entries += self.logs.check(replica)?;
                let (committed, news) = self.committed.check(replica)?;
                self.counts.committed += committed;
                for (id, payload) in news {
                    self.states.apply(replica.view.group, id, payload)?;
                }
                if replica.view.leads {
                    let is_new = self.committed.leader(replica)?;
                    self.counts.leaders += u64::from(is_new);
                    if is_new {
                        self.elections.leader(node, group, vote.0)?;
                    }
                }
                Ok(())
            })?;
        }
        // Last, as it writes: a machine may stop in it.
        for machine in machines {
            each_replica(machine, |replica| {
                self.counts.states += u64::from(self.states.check(replica)?);
                Ok(())
            })?;
        }
        self.committed.majorities(machines, &self.durable)
    }

    /// Compares the state of every replica, wherever it is.
    ///
    /// # Errors
    /// The first that is not what its log says.
    pub fn check_states(&mut self, machines: &[Rc<Machine>]) -> Checked {
        self.states.again();
        self.check(machines)?;
        self.states.check_producers()?;
        match self.slots.is_known() {
            true => Ok(()),
            false => Err(violated("one group per stream", "nobody has a table of slots")),
        }
    }

    /// Takes note of what a node has on disk, before its process ends.
    pub fn before_end(&mut self, machine: &Machine) {
        self.durable.keep(machine);
        self.logs.forget(machine.number);
        self.committed.forget(machine.number);
        self.states.forget(machine.number);
        self.elections.forget(machine.number);
        self.slots.forget(machine.number);
    }
}
