//! Deterministic simulation of whole Weir clusters.
//!
//! | file | what it holds |
//! |---|---|
//! | `runner/` | the commands; seeds in processes of their own |
//! | `seed` | one seed in this process |
//! | `plan`, `fault` | what a seed decides: the cluster, the load, what goes wrong and when |
//! | `world` | the simulation step by step: faults, restarts, phases |
//! | `node` | one node: its hardware and its process |
//! | `script` | what clients do |
//! | `judge` | what the checkers say of what they saw |
//! | `invariant/` | what must hold after every step |
//! | `disk`, `files` | a disk that loses what was not synced, for the journal and for redb |
//! | `network`, `links` | connections, and which of them are cut |
//! | `journal` | a journal without threads, stepped |
//! | `clock`, `rng`, `panics`, `trace` | time, randomness, panics, and the record of it all |
//!
//! Invariants:
//! - Everything follows from the seed: nothing here or below reads the machine's clock or randomness, or runs on another
//!   thread. Two runs of a seed give the same trace and the same history, byte for byte.
//! - One seed per process.
//! - A node is a whole one: front end, forwarding, groups, meta group, journal, redb. What differs from production is
//!   `weir_cluster::Platform`, and nothing else.

pub mod clock;
pub mod disk;
pub mod fault;
pub mod files;
pub mod invariant;
pub mod journal;
pub mod judge;
mod links;
pub mod network;
pub mod node;
mod panics;
pub mod plan;
pub mod rng;
pub mod runner;
pub mod script;
pub mod seed;
pub mod trace;
pub mod world;
