//! The network between the nodes and to their clients, and its faults.
//!
//! | file | what it holds |
//! |---|---|
//! | `rules` | what happens on each link, seeded, and how often it happened |
//! | `switch` | with root: TAP devices joined by a switch of our own |
//! | `proxy` | without root: TCP proxies on loopback |
//! | `wire` | the namespaces, devices and addresses |

pub mod rules;

pub(crate) mod proxy;
pub(crate) mod switch;
pub(crate) mod wire;

pub use rules::{CLIENTS, Counts, End, Rule, Rules};
