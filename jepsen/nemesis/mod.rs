//! What breaks things. One fault at a time, seeded, quiet for about a quarter of the time, and every fault is undone by
//! whoever began it.
//!
//! | file | what it breaks |
//! |---|---|
//! | `stage` | what all have in common: when, who, and what is recorded |
//! | `process` | kill -9, pause, pause and then kill, rolling restart |
//! | `partition` | who reaches whom |
//! | `packet` | how long it takes, what is lost, what comes in which order |
//! | `amnesia` | a disk that is lost while another node lags |
//! | `clock` | what time it is |
//! | `power` | what was not synced |
//! | `disk` | full, slow, read-only |
//! | `damage` | files with flipped bits, and files cut short |
//! | `old_copy` | files as they were some time before |
//! | `wipe` | a disk that is lost |
//! | `member` | nodes that come and go, replicas that move |
//! | `transfer` | who leads |
//! | `operator` | what an operator does about nodes: let in, send away, put in another's place |

pub(crate) mod amnesia;
pub(crate) mod clock;
pub(crate) mod damage;
pub(crate) mod disk;
pub(crate) mod member;
pub(crate) mod old_copy;
pub(crate) mod operator;
pub(crate) mod packet;
pub(crate) mod partition;
pub(crate) mod power;
pub(crate) mod process;
pub(crate) mod stage;
pub(crate) mod transfer;
pub(crate) mod wipe;

use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Error;
use crate::doctor::Machine;
pub(crate) use stage::Stage;

/// A kind of fault, by the name that the command line has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    Pause,
    Partition,
    Packet,
    Clock,
    Power,
    PowerAll,
    DiskFull,
    DiskSlow,
    DiskReadOnly,
    Damage,
    OldCopy,
    Wipe,
    Member,
    Transfer,
    Restart,
    Amnesia,
}

/// All kinds, with what they do.
pub(crate) const KINDS: [(Kind, &str, &str); 17] = [
    (
        Kind::Kill,
        "kill",
        "kill -9 of one, a minority, a majority or all nodes",
    ),
    (
        Kind::Pause,
        "pause",
        "SIGSTOP of one, a minority, a majority or a leader; then SIGCONT, or kill -9",
    ),
    (
        Kind::Partition,
        "partition",
        "one node, halves, a ring of majorities, one way, a leader, flapping",
    ),
    (Kind::Packet, "packet", "delay, jitter, loss and reordering of frames"),
    (Kind::Clock, "clock", "wall clocks that jump, and that go to and fro"),
    (Kind::Power, "power", "power loss of one node, a minority or all"),
    (Kind::PowerAll, "power-all", "power loss of all nodes at once"),
    (Kind::DiskFull, "disk-full", "no space left"),
    (Kind::DiskSlow, "disk-slow", "few writes per second"),
    (Kind::DiskReadOnly, "disk-ro", "a file system that turns read-only"),
    (
        Kind::Damage,
        "damage",
        "flipped bits, and files cut short, on as many nodes as groups can do without",
    ),
    (Kind::OldCopy, "old-copy", "files as they were some time before"),
    (Kind::Wipe, "wipe", "a disk that is lost, and a new node in its place"),
    (
        Kind::Member,
        "member",
        "nodes that join, take over, and are sent away; replicas that move",
    ),
    (Kind::Transfer, "transfer", "leaders handed over"),
    (
        Kind::Restart,
        "restart",
        "a graceful restart of one node after the other",
    ),
    (
        Kind::Amnesia,
        "amnesia",
        "a disk that is lost, with what only it and one more had, while that one is cut off",
    ),
];

impl Kind {
    /// Its name on the command line and in histories.
    pub(crate) fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or("", |(_, name, _)| name)
    }

    /// Why this machine cannot do it.
    pub(crate) fn missing(self, machine: &Machine) -> Option<String> {
        match self {
            Self::Kill | Self::Pause | Self::Partition | Self::Transfer | Self::Restart => None,
            Self::Damage | Self::OldCopy | Self::Wipe | Self::Amnesia | Self::Member => None,
            Self::Packet => machine.switch.missing(),
            Self::Clock => machine.faketime.missing(),
            Self::Power | Self::PowerAll => machine.power.missing(),
            Self::DiskSlow => machine.throttle.missing(),
            Self::DiskFull | Self::DiskReadOnly => machine.disks.missing(),
        }
    }

    /// Whether it needs a node that is not there at first.
    pub(crate) const fn needs_spare(self) -> bool {
        matches!(self, Self::Damage | Self::OldCopy | Self::Wipe | Self::Member)
    }

    /// Begins it, lets it last, and undoes it.
    ///
    /// # Errors
    /// When the harness could not do it. What the system under test does is no error here.
    pub(crate) async fn strike(self, stage: &mut Stage) -> Result<(), Error> {
        match self {
            Self::Kill => process::kill(stage).await,
            Self::Pause => process::pause(stage).await,
            Self::Restart => process::rolling_restart(stage).await,
            Self::Partition => partition::strike(stage).await,
            Self::Packet => packet::strike(stage).await,
            Self::Clock => clock::strike(stage).await,
            Self::Power => power::some(stage).await,
            Self::PowerAll => power::all(stage).await,
            Self::DiskFull => disk::full(stage).await,
            Self::DiskSlow => disk::slow(stage).await,
            Self::DiskReadOnly => disk::read_only(stage).await,
            Self::Damage => damage::strike(stage).await,
            Self::OldCopy => old_copy::strike(stage).await,
            Self::Wipe => wipe::strike(stage).await,
            Self::Amnesia => amnesia::strike(stage).await,
            Self::Member => member::strike(stage).await,
            Self::Transfer => transfer::strike(stage).await,
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = KINDS.iter().find(|(_, name, _)| *name == text);
        found.map(|(kind, ..)| *kind).ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|(_, name, _)| *name).collect();
            format!("there are {}", names.join(", "))
        })
    }
}

/// Puts others in the place of nodes that do not start because of what was done to their files.
///
/// # Errors
/// When the harness cannot.
pub(crate) async fn mend(stage: &mut Stage) -> Result<(), Error> {
    for id in stage.spoiled.clone() {
        let marks = operator::marks(&stage.cluster, &[id]).await;
        let came = operator::wait_whole(stage, id, &marks).await;
        let said = operator::mend(stage, id, &came).await?;
        println!("jepsen: {said}");
    }
    Ok(())
}

/// Strikes until the time is over, quiet in between.
///
/// # Errors
/// The first error of the harness.
pub(crate) async fn run(kinds: &[Kind], stage: &mut Stage) -> Result<(), Error> {
    if kinds.is_empty() {
        return Ok(());
    }
    stage.quiet(Duration::ZERO).await;
    let mut waiting: Vec<Kind> = Vec::new();
    while !stage.is_over() {
        // Each once in random order, then all anew, so that a short run has them all.
        if waiting.is_empty() {
            waiting = kinds.to_vec();
            stage.rng.shuffle(&mut waiting);
        }
        let began = Instant::now();
        if let Some(kind) = waiting.pop() {
            kind.strike(stage).await?;
        }
        stage.quiet(began.elapsed()).await;
    }
    Ok(())
}
