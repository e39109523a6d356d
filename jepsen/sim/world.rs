//! One simulation: the cluster, what goes wrong with it, and what is looked at after every step.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use turmoil::Sim;
use weir_jepsen::history::{self, Mark, Stage, StateHash};

use crate::clock::SimClock;
use crate::disk::SimDisk;
use crate::fault::Fault;
use crate::invariant::{Counts, Invariants, Violation};
use crate::journal::Steps;
use crate::judge::{Judged, judge};
use crate::links::Links;
use crate::network::node_name;
use crate::node::Machine;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::script::{Phase, Script};
use crate::trace;

/// How long a simulated step is, in milliseconds.
const STEP_MS: u64 = 1;

/// How long the cluster may take to form, and to be as it should be once nothing goes wrong any more: simulated time.
const FORM_LIMIT_MS: u64 = 60_000;
/// See [`FORM_LIMIT_MS`].
const HEAL_LIMIT_MS: u64 = 30_000;

/// How long clients go on after healing, once all is well.
const AFTERGLOW_MS: u64 = 2_000;

/// How long the last operations under way may take, and the last reads.
const END_LIMIT_MS: u64 = 60_000;

/// States are compared to the last one so many milliseconds after all is well.
const SETTLE_MS: u64 = 500;

/// Bytes that a disk takes unless it is to be full.
const CAPACITY: u64 = 1 << 30;

/// How a simulation went.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What does not hold; nothing, when all is well.
    pub violation: Option<String>,
    /// How much was checked.
    pub counts: Counts,
    /// Simulated time, in milliseconds.
    pub elapsed_ms: u64,
    /// Processes that ended, for whatever reason.
    pub ends: u64,
    /// Sectors that were lost with power.
    pub lost_sectors: u64,
    /// How many faults of each kind began.
    pub faults: BTreeMap<String, u64>,
    /// Operations of clients.
    pub operations: u64,
    /// Operations that succeeded.
    pub succeeded: u64,
    /// The history, as JSON lines.
    pub history: Vec<u8>,
    /// What the checkers say of it.
    pub verdict: String,
    /// What they found wrong.
    pub findings: String,
}

/// Whether a node has a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Runs,
    /// It begins again at this time, in milliseconds.
    Down(u64),
}

/// What ends a fault.
#[derive(Debug, Clone)]
enum End {
    Cut(u64),
    Latency,
    Capacity(usize),
    SlowDisk(usize),
    SyncFails(usize),
}

/// The simulation while it runs.
pub struct World {
    plan: Plan,
    sim: Sim<'static>,
    machines: Vec<Rc<Machine>>,
    processes: Vec<Process>,
    links: Links,
    script: Rc<Script>,
    invariants: Invariants,
    rng: Rng,
    now_ms: u64,
    /// When the load began.
    load_ms: Option<u64>,
    next_fault: usize,
    /// By time and number.
    ends: BTreeMap<(u64, u64), (End, Fault)>,
    last_id: u64,
    ended: u64,
    begun: BTreeMap<String, u64>,
}

impl World {
    /// Everything as the plan has it, at time 0.
    #[must_use]
    pub fn new(plan: Plan, script: Rc<Script>) -> Self {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(Rng::of(plan.seed, "network").draw())
            .epoch(std::time::SystemTime::UNIX_EPOCH)
            .simulation_duration(Duration::from_secs(24 * 3600))
            .tick_duration(Duration::from_millis(STEP_MS))
            .min_message_latency(Duration::from_millis(plan.latency_ms.0))
            .max_message_latency(Duration::from_millis(plan.latency_ms.1))
            .tcp_capacity(1 << 16)
            .enable_random_order();
        let mut sim = builder.build();
        let invariants = Invariants::new(plan.seed, plan.look_at_one_of);
        let mut machines = Vec::new();
        for number in 1..=plan.cluster.nodes {
            let machine = Rc::new(machine(&plan, number, &invariants));
            let (host, cluster) = (Rc::clone(&machine), plan.cluster.clone());
            sim.host(node_name(number), move || {
                crate::node::run(Rc::clone(&host), cluster.clone())
            });
            machines.push(machine);
        }
        let clients = Rc::clone(&script);
        sim.host(CLIENTS, move || crate::script::run(Rc::clone(&clients)));
        Self {
            sim,
            processes: vec![Process::Runs; machines.len()],
            links: Links::new(plan.cluster.nodes),
            machines,
            script,
            invariants,
            rng: Rng::of(plan.seed, "world"),
            now_ms: 0,
            load_ms: None,
            next_fault: 0,
            ends: BTreeMap::new(),
            last_id: 0,
            ended: 0,
            begun: BTreeMap::new(),
            plan,
        }
    }

    /// Has every disk say that it synced what it did not.
    pub fn plant_lying_disks(&self) {
        self.machines.iter().for_each(|machine| machine.disk.lie());
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Outcome {
        let mut violation = self.phases().err().map(|violation| violation.to_string());
        if let Err(error) = self.script.recorder.finish() {
            violation.get_or_insert(format!("the history cannot be written: {error}"));
        }
        let history = self.script.history();
        let judged = match &violation {
            None => judge(&history),
            Some(_) => Judged {
                verdict: "cut off".to_owned(),
                ..Judged::default()
            },
        };
        let violation = violation.or(judged.violation);
        if let Some(violation) = &violation {
            trace::line(&format!("VIOLATION {violation}"));
        }
        Outcome {
            violation,
            counts: self.invariants.counts(),
            elapsed_ms: self.now_ms,
            ends: self.ended,
            faults: self.begun,
            lost_sectors: self
                .machines
                .iter()
                .map(|machine| machine.disk.counters().lost_sectors)
                .sum(),
            operations: judged.operations,
            succeeded: judged.succeeded,
            history,
            verdict: judged.verdict,
            findings: judged.findings,
        }
    }

    fn phases(&mut self) -> Result<(), Violation> {
        self.until("the cluster forms", FORM_LIMIT_MS, |world| {
            world.script.phase() == Phase::Load
        })?;
        self.load_ms = Some(self.now_ms);
        trace::line("the load begins");
        let load = self.plan.load.as_millis() as u64;
        let end = self.now_ms + load;
        while self.now_ms < end {
            self.faults()?;
            self.step()?;
        }
        self.heal()?;
        trace::line("healed");
        self.script.recorder.mark(Mark::Healed);
        self.script.set_phase(Phase::Heal);
        self.until("all nodes take writes again", HEAL_LIMIT_MS, |world| {
            world.script.phase() == Phase::Glow && world.is_led()
        })?;
        self.pass(AFTERGLOW_MS)?;
        self.script.set_phase(Phase::Stop);
        self.until("the last operations end", END_LIMIT_MS, |world| {
            world.script.phase() == Phase::Level
        })?;
        self.until("all is well again", HEAL_LIMIT_MS, |world| world.is_well())?;
        trace::line("converged");
        self.script.recorder.mark(Mark::Converged);
        self.pass(SETTLE_MS)?;
        self.script.set_phase(Phase::End);
        self.until("the last reads end", END_LIMIT_MS, |world| {
            world.script.phase() == Phase::Done
        })?;
        self.until("replicas are level", HEAL_LIMIT_MS, |world| world.is_well())?;
        self.invariants.check_states(&self.machines)?;
        self.record_states();
        Ok(())
    }

    fn pass(&mut self, time_ms: u64) -> Result<(), Violation> {
        for _ in 0..time_ms {
            self.step()?;
        }
        Ok(())
    }

    /// What replicas say of their states, for the checker.
    fn record_states(&self) {
        for machine in &self.machines {
            let Some((probe, _)) = machine.looked_at() else {
                continue;
            };
            for view in probe.replicas() {
                // That states can be read was looked at just now.
                if let Ok((applied, hash)) = probe.state_hash(view.group) {
                    let hash = StateHash {
                        group: view.group,
                        applied,
                        hash: format!("{hash:032x}"),
                    };
                    let node = u32::try_from(machine.number).unwrap_or(u32::MAX);
                    self.script.recorder.state_hash(node, hash);
                }
            }
        }
    }

    fn until(&mut self, what: &'static str, limit_ms: u64, done: impl Fn(&Self) -> bool) -> Result<(), Violation> {
        let end = self.now_ms + limit_ms;
        while !done(self) {
            if self.now_ms >= end {
                let seen = format!("{what}: not within {limit_ms} ms; {}", self.describe());
                return Err(Violation {
                    invariant: "liveness",
                    seen,
                });
            }
            self.step()?;
        }
        Ok(())
    }

    /// One step, and everything that is looked at after it.
    fn step(&mut self) -> Result<(), Violation> {
        self.now_ms += STEP_MS;
        trace::at(self.now_ms);
        self.script.set_now(self.now_ms);
        if let Err(error) = self.sim.step() {
            let seen = error.to_string();
            return Err(Violation {
                invariant: "the simulation goes on",
                seen,
            });
        }
        if let Some(panic) = crate::panics::take() {
            return Err(Violation {
                invariant: "nothing panics",
                seen: panic,
            });
        }
        self.ended_processes()?;
        self.begin_again();
        self.end_faults();
        self.invariants.check(&self.machines)?;
        if self.now_ms.is_multiple_of(1000) {
            trace::line("tick");
        }
        Ok(())
    }

    /// Takes down processes that came to an end by themselves, and machines that stopped.
    fn ended_processes(&mut self) -> Result<(), Violation> {
        for at in 0..self.machines.len() {
            let machine = Rc::clone(&self.machines[at]);
            let has_stopped = machine.disk.has_stopped();
            let ended = machine.ended.borrow_mut().take();
            if has_stopped {
                self.end(at, true);
                continue;
            }
            let Some(reason) = ended else {
                continue;
            };
            if !self.is_allowed(at, &reason) {
                return Err(Violation {
                    invariant: "processes end for a reason",
                    seen: format!("n{}: {reason}", at + 1),
                });
            }
            // A process that ends by itself drops what it holds, which may write.
            let has_failed = machine.disk.has_failed();
            self.invariants.before_end(&machine);
            self.sim.crash(node_name(at + 1));
            // A disk that failed may have lost what it said it would write: it is not trusted before a reboot.
            self.end(at, has_failed);
        }
        Ok(())
    }

    /// Whether a process may end so, after what was done to it.
    fn is_allowed(&self, at: usize, reason: &str) -> bool {
        let counters = self.machines[at].disk.counters();
        // Where there are threads, a store waits for space on one of its own. Here it cannot, and fails.
        let had_no_space = counters.refused > 0 && reason.contains("no space is left");
        reason == "asked to" || counters.failed_syncs > 0 || had_no_space
    }

    /// Ends a process, or a machine.
    fn end(&mut self, at: usize, loses_power: bool) {
        if matches!(self.processes[at], Process::Down(_)) {
            return;
        }
        let machine = Rc::clone(&self.machines[at]);
        self.invariants.before_end(&machine);
        machine.disk.kill();
        if loses_power && self.rng.chance(50) {
            // Nobody is told.
            self.links.silence(&self.sim, at + 1);
        }
        self.sim.crash(node_name(at + 1));
        machine.node.borrow_mut().take();
        machine.ended.borrow_mut().take();
        if loses_power {
            machine.disk.lose_power();
        }
        self.links.apply_all(&self.sim);
        self.ended += 1;
        let down = self.rng.between(20, 2500);
        self.processes[at] = Process::Down(self.now_ms + down);
        trace::line(&format!("n{} is down for {down} ms, power lost: {loses_power}", at + 1));
    }

    fn begin_again(&mut self) {
        for at in 0..self.processes.len() {
            if let Process::Down(until) = self.processes[at]
                && until <= self.now_ms
            {
                self.processes[at] = Process::Runs;
                trace::line(&format!("n{} begins again", at + 1));
                self.sim.bounce(node_name(at + 1));
            }
        }
    }

    /// Begins the faults whose time has come.
    fn faults(&mut self) -> Result<(), Violation> {
        let since = self.now_ms - self.load_ms.unwrap_or(self.now_ms);
        while let Some(timed) = self
            .plan
            .faults
            .get(self.next_fault)
            .filter(|timed| timed.at_ms <= since)
            .cloned()
        {
            self.next_fault += 1;
            trace::line(&format!("fault {:?} for {} ms", timed.fault, timed.lasts_ms));
            *self.begun.entry(timed.fault.name().to_owned()).or_default() += 1;
            self.begin(&timed.fault, timed.lasts_ms);
        }
        Ok(())
    }

    /// Records one end of a fault.
    fn record(&self, id: u64, fault: &Fault, stage: Stage) {
        self.script.recorder.fault(history::Fault {
            id,
            name: fault.name().to_owned(),
            stage,
            targets: fault.targets(),
            effect: None,
            evidence: String::new(),
        });
    }

    fn begin(&mut self, fault: &Fault, lasts_ms: u64) {
        self.last_id += 1;
        let id = self.last_id;
        self.record(id, fault, Stage::Begin);
        let end = match self.strike(id, fault) {
            Some(end) => end,
            None => return self.record(id, fault, Stage::End),
        };
        self.ends.insert((self.now_ms + lasts_ms, id), (end, fault.clone()));
    }

    /// Lets a fault begin; gives what ends it, unless it is a single blow.
    fn strike(&mut self, id: u64, fault: &Fault) -> Option<End> {
        match fault {
            Fault::Kill(nodes) => {
                nodes.iter().for_each(|node| self.end(node - 1, false));
                None
            }
            Fault::PowerLoss(nodes, changes) => {
                for node in nodes {
                    match changes {
                        0 => self.end(node - 1, true),
                        changes => self.machines[node - 1].disk.set_fuse(Some(*changes)),
                    }
                }
                None
            }
            Fault::Restart(node) => {
                self.machines[node - 1].stop.notify_waiters();
                None
            }
            Fault::Partition(..) | Fault::OneWay(..) | Fault::Hold(..) | Fault::Unreachable(_) => {
                self.links.cut(&self.sim, id, fault);
                Some(End::Cut(id))
            }
            Fault::Latency(most_ms) => {
                self.sim.set_max_message_latency(Duration::from_millis(*most_ms));
                Some(End::Latency)
            }
            Fault::SyncFails(node, syncs) => {
                self.machines[node - 1].disk.set_sync_fuse(Some(*syncs));
                Some(End::SyncFails(*node))
            }
            Fault::Full(node, bytes) => {
                let disk = &self.machines[node - 1].disk;
                disk.set_capacity(disk.used() + bytes);
                Some(End::Capacity(*node))
            }
            Fault::SlowDisk(node, sync_ms) => {
                self.machines[node - 1].steps.set_sync_ms(Some(*sync_ms));
                Some(End::SlowDisk(*node))
            }
            Fault::Clock(node, skew_ms) => {
                self.machines[node - 1].clock.set_skew(*skew_ms);
                None
            }
            Fault::Transfer(group, node) => {
                self.machines[node - 1].ask_to_lead(*group, *node as u64);
                None
            }
        }
    }

    fn end_faults(&mut self) {
        while let Some(entry) = self.ends.first_entry().filter(|entry| entry.key().0 <= self.now_ms) {
            let ((_, id), (end, fault)) = entry.remove_entry();
            self.undo(id, &end, &fault);
        }
    }

    fn undo(&mut self, id: u64, end: &End, fault: &Fault) {
        self.record(id, fault, Stage::End);
        trace::line(&format!("end of {end:?}"));
        match end {
            End::Cut(id) => self.links.mend(&self.sim, *id),
            End::Latency => self
                .sim
                .set_max_message_latency(Duration::from_millis(self.plan.latency_ms.1)),
            End::Capacity(node) => self.machines[node - 1].disk.set_capacity(CAPACITY),
            End::SlowDisk(node) => self.machines[node - 1].steps.set_sync_ms(None),
            End::SyncFails(node) => self.machines[node - 1].disk.set_sync_fuse(None),
        }
    }

    /// Ends every fault, and starts whoever is down.
    fn heal(&mut self) -> Result<(), Violation> {
        for ((_, id), (end, fault)) in std::mem::take(&mut self.ends) {
            self.undo(id, &end, &fault);
        }
        for at in 0..self.machines.len() {
            let machine = &self.machines[at];
            machine.disk.set_fuse(None);
            machine.clock.set_skew(0);
            if let Process::Down(until) = &mut self.processes[at] {
                *until = (*until).min(self.now_ms + 1);
            }
        }
        self.step()
    }

    /// Whether every node runs and every group is led.
    fn is_led(&self) -> bool {
        let mut led = BTreeMap::new();
        for machine in &self.machines {
            let Some((probe, _)) = machine.looked_at() else {
                return false;
            };
            for view in probe.replicas() {
                *led.entry(view.group).or_insert(false) |= view.leads;
            }
        }
        led.len() as u64 == self.plan.cluster.groups + 1 && led.values().all(|led| *led)
    }

    /// Whether every node runs and all replicas have applied the same.
    fn is_well(&self) -> bool {
        let mut applied: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut leaders: BTreeMap<u64, u64> = BTreeMap::new();
        for machine in &self.machines {
            let Some((probe, _)) = machine.looked_at() else {
                return false;
            };
            for view in probe.replicas() {
                applied
                    .entry(view.group)
                    .or_default()
                    .push(view.applied.map_or(0, |id| id.index));
                *leaders.entry(view.group).or_default() += u64::from(view.leads);
            }
        }
        let copies = self.plan.cluster.nodes.min(3);
        let is_level = |(group, indices): (&u64, &Vec<u64>)| {
            (*group == 0 || indices.len() == copies) && indices.iter().all(|index| *index == indices[0])
        };
        applied.len() as u64 == self.plan.cluster.groups + 1
            && applied.iter().all(is_level)
            && leaders.values().all(|leaders| *leaders == 1)
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for (machine, process) in self.machines.iter().zip(&self.processes) {
            let views = machine.looked_at().map(|(probe, _)| probe.replicas());
            text.push_str(&format!("n{} {process:?} ", machine.number));
            for view in views.unwrap_or_default() {
                let applied = view.applied.map_or(0, |id| id.index);
                text.push_str(&format!(
                    "[g{} r{} at {applied}{}]",
                    view.group,
                    view.replica,
                    if view.leads { " leads" } else { "" }
                ));
            }
            text.push_str("; ");
        }
        text
    }
}

/// The host on which clients are.
pub const CLIENTS: &str = "clients";

fn machine(plan: &Plan, number: usize, invariants: &Invariants) -> Machine {
    let disk = SimDisk::new(number as u64, Rng::of(plan.seed, "disk").draw() ^ number as u64);
    disk.set_capacity(CAPACITY);
    let clock = SimClock::default();
    clock.set_skew(plan.skews_ms[number - 1]);
    let rng = Rng::new(Rng::of(plan.seed, "journal").draw() ^ number as u64);
    Machine {
        number,
        disk,
        clock,
        steps: Arc::new(Steps::new(number, plan.journal.clone(), rng, invariants.durable())),
        node: RefCell::new(None),
        ended: RefCell::new(None),
        stop: Notify::new(),
        order: RefCell::new(None),
        ordered: Notify::new(),
        starts_ms: Cell::new(plan.starts_ms[number - 1]),
    }
}
