//! Where nodes are.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Peer addresses (`host:port`) by node id. Told by the meta group, and by whoever introduced this node.
#[derive(Debug, Default)]
pub(crate) struct Addresses(RwLock<BTreeMap<u64, String>>);

impl Addresses {
    pub(crate) fn get(&self, node: u64) -> Option<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&node)
            .cloned()
    }

    /// Adds or changes addresses; returns whether anything changed.
    pub(crate) fn update(&self, addresses: impl IntoIterator<Item = (u64, String)>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for (node, address) in addresses {
            changed |= known.insert(node, address.clone()).as_ref() != Some(&address);
        }
        changed
    }
}
