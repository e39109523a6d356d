//! Bugs planted on purpose: fault tests must find every one of them, or they are not worth much.
//!
//! No build carries them but one with `weir`'s feature `mutants`, which turns on `planted` here. Without that [`is`],
//! [`instead`], [`mark`] and [`take`] are constants, and the compiler leaves out what they guard. With it the variable
//! `WEIR_MUTANT` names the one that is active; without the variable such a build works as it should.
//!
//! | file | what it holds |
//! |---|---|
//! | `planted` | which one is active, in a build that has them |
//!
//! Invariants:
//! - One line at the place of each bug, so that a reader sees what the code is without it.
//! - `tests/places.rs` knows every place; a bug that is in no place, or in another one, fails it.

#[cfg(feature = "planted")]
mod planted;

#[cfg(feature = "planted")]
pub use planted::{chosen, is, mark, take};

/// The variable that names the active one.
pub const VARIABLE: &str = "WEIR_MUTANT";

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// Entries are called durable when they are written, and synced whenever something else is.
    AnswerBeforeFsync,
    /// A leader counts entries as stored by a follower when it has sent them.
    AnswerBeforeQuorum,
    /// A replica answers reads without asking the leader how far it must be.
    ReadWithoutBarrier,
    /// A snapshot has no producers.
    ForgetProducers,
    /// A node with an empty disk gets the identity of the one that had its address, and with it the same replica ids.
    ReuseReplicaId,
    /// After a truncation the next entries are stored without the content of the last one.
    DropLastOnTruncate,
    /// A snapshot lacks one row.
    SkipRowInSnapshot,
    /// Each replica removes expired streams by its own clock.
    ExpireByLocalClock,
    /// Who connects again by SSE goes on at the tail.
    SkipAfterReconnect,
    /// A fork is made first, and its source kept for it after that.
    ForkBeforeRetain,
}

/// All of them, with their names.
pub const MUTANTS: [(Mutant, &str); 10] = [
    (Mutant::AnswerBeforeFsync, "answer-before-fsync"),
    (Mutant::AnswerBeforeQuorum, "answer-before-quorum"),
    (Mutant::ReadWithoutBarrier, "read-without-barrier"),
    (Mutant::ForgetProducers, "forget-producers-in-snapshot"),
    (Mutant::ReuseReplicaId, "reuse-replica-id"),
    (Mutant::DropLastOnTruncate, "drop-last-on-truncate"),
    (Mutant::SkipRowInSnapshot, "skip-row-in-snapshot"),
    (Mutant::ExpireByLocalClock, "expire-by-local-clock"),
    (Mutant::SkipAfterReconnect, "skip-after-reconnect"),
    (Mutant::ForkBeforeRetain, "fork-before-retain"),
];

impl Mutant {
    /// What [`VARIABLE`] calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = MUTANTS.iter().find(|(mutant, _)| *mutant == self);
        known.map_or("", |(_, name)| name)
    }

    /// The one with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        MUTANTS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(mutant, _)| *mutant)
    }
}

/// Whether this build has planted bugs at all.
pub const IS_PLANTED: bool = cfg!(feature = "planted");

/// Whether this bug is active.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn is(_: Mutant) -> bool {
    false
}

/// Remembers that something happened to `key` that the bug needs.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn mark(_: Mutant, _: u64) {}

/// Whether the bug is active and `key` was marked since the last call.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn take(_: Mutant, _: u64) -> bool {
    false
}

/// `right`, or what the bug has instead of it.
#[inline(always)]
pub fn instead<T>(mutant: Mutant, right: T, wrong: impl FnOnce() -> T) -> T {
    if is(mutant) { wrong() } else { right }
}
