//! Planners: from the state to what should be done next. Pure, so every node plans the same; the reconciler carries out.

mod leaders;
mod moves;
mod rebalance;
mod remove;
mod voters;

pub use leaders::leader_balance;
pub use moves::{is_stranded, next_moves};
pub use rebalance::rebalance_moves;
pub use remove::may_remove;
pub use voters::meta_voters;
