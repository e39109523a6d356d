//! Which bug is active.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{Mutant, VARIABLE};

/// What the variable says: nothing when it is absent.
///
/// # Errors
/// The name, when it is none: a run must not pass for one with a bug that it did not have.
pub fn chosen() -> Result<Option<Mutant>, String> {
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let name = name.to_string_lossy().into_owned();
    Mutant::find(&name).map(Some).ok_or(name)
}

fn active() -> Option<Mutant> {
    static ACTIVE: OnceLock<Option<Mutant>> = OnceLock::new();
    *ACTIVE.get_or_init(|| chosen().ok().flatten())
}

/// Whether this bug is active.
#[must_use]
pub fn is(mutant: Mutant) -> bool {
    active() == Some(mutant)
}

static MARKS: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// Remembers that something happened to `key` that the bug needs.
pub fn mark(mutant: Mutant, key: u64) {
    if is(mutant) {
        MARKS.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }
}

/// Whether the bug is active and `key` was marked since the last call.
#[must_use]
pub fn take(mutant: Mutant, key: u64) -> bool {
    is(mutant) && MARKS.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)
}
