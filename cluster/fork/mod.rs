//! Forks between groups. A fork lives in the group that its own path names, which need not be its source's.
//!
//! | file | what it holds |
//! |---|---|
//! | `create` | making a fork: keep the source, make the fork, let go of the source where that failed |
//! | `boundary` | finding by reading where a fork leaves its source |
//! | `read` | reading what a fork inherited from another group |
//! | `settle` | what goes on by itself: telling sources of forks that are gone, clearing references without a fork |
//! | `mutant` | a planted bug, in builds for fault tests only |
//!
//! Invariants:
//! - A source is kept from before its fork is made until after it is gone: whoever drives that may end between any two
//!   steps.
//! - A fork that exists holds a reference, and the two name each other; a fork that goes leaves a release in its group's
//!   outbox, in the same transaction.
//! - A reference is released only when its fork's group has said that the fork is not there and cannot be made any more.
//! - Every step can be repeated.

mod boundary;
mod create;
#[cfg(feature = "mutants")]
mod mutant;
mod read;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use settle::{Settling, run};
