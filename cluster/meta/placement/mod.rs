//! Who holds what: slots on groups, groups on nodes. What comes out is stored and never computed again, so a better
//! rule may come later without moving anything.

mod replicas;
mod slots;
mod target;

pub use replicas::{Candidate, place};
pub use slots::assign_slots;
pub use target::choose_target;

pub(crate) use replicas::pick;
