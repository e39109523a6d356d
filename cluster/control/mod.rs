//! The control plane: who the nodes are, which replicas they host, and how that changes.
//!
//! | file | what it holds |
//! |---|---|
//! | `identity` | what a node knows of itself across restarts |
//! | `form` | the first start: founding a cluster, or joining one |
//! | `first_election` | the first election of a group that was founded with the cluster |
//! | `machine` | the meta group's state machine |
//! | `commands` | commands to the meta group, from any node |
//! | `hosting` | the replicas on this node, as the meta group's state wants them |
//! | `reconcile` | what the meta group's leader does about groups that are not as they should be |
//! | `moves` | how a group comes to the members that the state gives it |
//! | `group_calls` | questions and orders to a group's replicas on other nodes |
//! | `serve` | requests of other nodes |
//!
//! Invariants:
//! - The data path works without the meta group's leader: what it needs is in the state that every node keeps.
//! - Every step of the reconciler can be repeated, and is decided anew from what is: nothing is lost when the node that
//!   drives it ends.
//! - A replica's files are deleted only when a state that knows the replica's id has no such replica.

mod commands;
mod first_election;
mod form;
mod group_calls;
mod hosting;
mod identity;
mod machine;
mod moves;
mod reconcile;
mod serve;

pub use commands::CommandError;
pub(crate) use commands::Commands;
pub use form::FormError;
pub(crate) use form::{Introduced, form};
pub(crate) use group_calls::{group_status, hand_over};
pub(crate) use hosting::{Hosting, StoreOptions, addresses, view};
pub use identity::IdentityError;
pub(crate) use identity::{Identity, Member};
pub(crate) use machine::{MetaMachine, Place};
pub(crate) use reconcile::{Reconciler, run as reconcile};
pub(crate) use serve::{Dispatcher, Hello, MemberParts, Shared as SharedDispatcher};
