//! Three nodes under faults: nothing acknowledged is lost, doubled or reordered, on any node, and what cannot be right is
//! refused.
//!
//! | file | what it holds |
//! |---|---|
//! | `load` | writers and readers on all nodes, and what they were told |
//! | `lives` | streams that are created, closed and deleted meanwhile |
//! | `faults` | SIGKILL of one node, of a leader, of all; SIGSTOP of a leader for longer than an election |
//! | `damage` | starts on a data directory of which something is damaged or missing |
//! | `old_copy` | a directory as it was before, in place of a follower's |
//! | `full_disk` | a disk that fills up under a node |

mod damage;
mod faults;
mod full_disk;
mod lives;
mod load;
mod old_copy;
