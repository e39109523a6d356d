//! What this node knows of the cluster's shape, as the data path needs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use weir_protocol::StreamName;

/// Which groups there are, who replicates them, and which streams they have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Counts up with every change.
    pub(crate) version: u64,
    /// The group of each slot.
    pub(crate) slots: Vec<u64>,
    /// By group: its replicas and their nodes.
    pub(crate) groups: BTreeMap<u64, Vec<(u64, u64)>>,
}

/// The view as it changes.
#[derive(Debug, Clone)]
pub(crate) struct Views(watch::Sender<Arc<View>>);

impl Views {
    pub(crate) fn new(view: View) -> Self {
        Self(watch::Sender::new(Arc::new(view)))
    }

    pub(crate) fn now(&self) -> Arc<View> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts a newer view in place; an older one changes nothing.
    pub(crate) fn replace(&self, view: View) {
        self.0.send_if_modified(|now| {
            let is_newer = view.version > now.version;
            if is_newer {
                *now = Arc::new(view);
            }
            is_newer
        });
    }
}

impl View {
    /// The group that has a stream; `None` while the cluster has none.
    pub(crate) fn group_of(&self, name: &StreamName) -> Option<u64> {
        let slot = weir_meta::slot_of(name.as_str());
        self.slots.get(usize::from(slot.number())).copied()
    }

    /// The replicas of a group and their nodes.
    pub(crate) fn replicas(&self, group: u64) -> &[(u64, u64)] {
        self.groups.get(&group).map_or(&[], Vec::as_slice)
    }
}
