//! Three nodes under faults: nothing acknowledged is lost, doubled or reordered, on any node, and what cannot be right is
//! refused.
//!
//! | file | what it holds |
//! |---|---|
//! | `load` | writers and readers on all nodes, and what they were told |
//! | `lives` | streams that are created, closed and deleted meanwhile |
//! | `faults` | SIGKILL of one node, of a leader, of all; SIGSTOP of a leader for longer than an election |

mod faults;
mod lives;
mod load;
