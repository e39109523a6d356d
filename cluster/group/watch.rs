//! Who waits for a stream's next change.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;
use weir_protocol::{StreamName, TailEvent, TailWatch};
use weir_storage::Change;

const SHARDS: usize = 64;

type Waiting = HashMap<StreamName, watch::Sender<Option<TailEvent>>>;

/// Everyone who waits, by stream. A stream nobody waits for has no entry.
pub(crate) struct Watchers {
    hasher: RandomState,
    shards: [Shard; SHARDS],
}

#[derive(Default)]
struct Shard(Mutex<Waiting>);

impl Default for Watchers {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Shard::default()),
        }
    }
}

impl Watchers {
    fn shard(&self, name: &StreamName) -> MutexGuard<'_, Waiting> {
        let hash = self.hasher.hash_one(name);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        // A map of senders is whole after every step, so a panic elsewhere does not spoil it.
        self.shards[index].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch `name`.
    pub(crate) fn watch(self: &Arc<Self>, name: &StreamName) -> Watch {
        let mut waiting = self.shard(name);
        let sender = waiting.entry(name.clone()).or_insert_with(|| watch::Sender::new(None));
        Watch {
            receiver: Some(sender.subscribe()),
            name: name.clone(),
            watchers: Arc::clone(self),
            gone: false,
        }
    }

    /// Tells everybody to look again.
    pub(crate) fn tell_all_gone(&self) {
        for shard in &self.shards {
            let waiting = std::mem::take(&mut *shard.0.lock().unwrap_or_else(PoisonError::into_inner));
            for sender in waiting.into_values() {
                sender.send_replace(Some(TailEvent::Gone));
            }
        }
    }

    /// Tells those concerned, in order.
    pub(crate) fn tell(&self, changes: Vec<Change>) {
        for Change { name, event } in changes {
            let mut waiting = self.shard(&name);
            if event == TailEvent::Gone {
                if let Some(sender) = waiting.remove(&name) {
                    sender.send_replace(Some(event));
                }
            } else if let Some(sender) = waiting.get(&name) {
                sender.send_replace(Some(event));
            }
        }
    }
}

/// A watch on one stream.
pub(crate) struct Watch {
    /// Always there until this is dropped.
    receiver: Option<watch::Receiver<Option<TailEvent>>>,
    name: StreamName,
    watchers: Arc<Watchers>,
    gone: bool,
}

#[async_trait]
impl TailWatch for Watch {
    async fn changed(&mut self) -> TailEvent {
        let Some(receiver) = self.receiver.as_mut().filter(|_| !self.gone) else {
            return TailEvent::Gone;
        };
        let event = match receiver.changed().await {
            Ok(()) => *receiver.borrow_and_update(),
            // The sender went with its stream; what it said last was seen.
            Err(_) => None,
        };
        let event = event.unwrap_or(TailEvent::Gone);
        self.gone = event == TailEvent::Gone;
        event
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiting = self.watchers.shard(&self.name);
        self.receiver.take();
        let is_last = waiting
            .get(&self.name)
            .is_some_and(|sender| sender.receiver_count() == 0);
        if is_last {
            waiting.remove(&self.name);
        }
    }
}
