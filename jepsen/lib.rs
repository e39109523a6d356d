//! Fault tests in the manner of Jepsen (not Jepsen, and not by its authors).
//!
//! | Path | What |
//! |---|---|
//! | `history/` | What a run records: events, outcomes, faults; writer and reader |
//! | `check/` | The checkers: pure functions from a history to a verdict |
//! | `report/` | A run as one page that a person can read |
//! | `cli/` | The commands on a recorded history: check, export |
//! | `run/` | A run from start to end |
//! | `profile/` | Many runs in a row |
//! | `mutants/` | Whether the bugs planted in Weir are found |
//! | `cluster/` | Real processes, their namespaces and disks |
//! | `net/` | The network between them, and its faults |
//! | `nemesis/` | What breaks, when and where |
//! | `workload/` | What clients do meanwhile |
//! | `client/` | A client of the protocol that classes outcomes truthfully |
//! | `doctor/` | What this machine can do |
//!
//! # Invariants
//! - A history is the only thing that a checker sees: whatever a verdict rests on is in the file.
//! - Nothing in `history/`, `check/`, `workload/` and `client/` depends on where nodes run: simulations use them too.
//! - A time-out, a reset or a 5xx is an unknown outcome, never a failure ([`history::Recorder`] enforces it).

pub mod check;
pub mod cli;
pub mod client;
pub mod doctor;
pub mod history;
pub mod mutants;
pub mod net;
pub mod profile;
pub mod report;
pub mod run;
pub mod workload;

mod cluster;
mod nemesis;
