//! How nodes talk: requests and answers as frames on a few long-lived streams per pair of nodes.
//!
//! | file | what it holds |
//! |---|---|
//! | `kind` | what can be asked, and how it can end |
//! | `addresses` | where nodes are |
//! | `link` | one stream to one node: packing, matching answers, reconnecting |
//! | `peers` | all links of a node |
//! | `server` | the other side |
//! | `room` | how much memory its answers take |
//! | `other` | connections that are not TCP, as tonic takes them |
//!
//! Invariants: a call is answered once, by its answer, its deadline or the end of its stream; a request is never sent
//! twice; what waits to be sent is bounded in number and in bytes; a stream never stands still because requests that came
//! before are under way.

mod addresses;
#[cfg(test)]
mod crowded;
mod kind;
mod link;
mod other;
mod peers;
mod room;
mod server;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod strangers;

pub(crate) use addresses::Addresses;
pub(crate) use kind::{CallError, Kind, Lane, Status};
pub(crate) use peers::{Address, Peers};
pub(crate) use room::Room;
pub(crate) use server::{ClusterName, Dispatch, Incoming, Reply, serve};
