//! Writing without a change of threads.
//!
//! To hand a submission to the writer's thread and its completion back wakes two threads, which on an idle machine takes
//! about as long as the sync between them. So when callers are alone, and the disk is quick, the writer may run on a thread
//! that is awake anyway: whoever asked for it is told, and calls [`Journal::write_alone`] soon. As soon as callers come
//! together, or the disk is slow, the writer's own thread has the work again: it syncs for all of them at once, and nobody
//! else stands still meanwhile.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{
    error::Failure,
    journal::Journal,
    limits::{ALONE_AFTER, QUICK_SYNC_US},
    shared::lock,
    writer::{Step, Writer},
};

/// What the last frames were like.
#[derive(Default)]
pub(crate) struct Pace {
    /// How many in a row were for a single caller each.
    for_one: AtomicU32,
    /// What a frame took of late, in microseconds: an average in which the last one counts for an eighth.
    took: AtomicU32,
}

impl Pace {
    pub(crate) fn is_alone(&self) -> bool {
        let is_quick = self.took.load(Ordering::Relaxed) <= QUICK_SYNC_US;
        is_quick && self.for_one.load(Ordering::Relaxed) >= ALONE_AFTER
    }

    /// Takes note of a frame. Only whoever has the writer does so.
    pub(crate) fn note(&self, for_one: bool, took: Duration) {
        let before = self.for_one.load(Ordering::Relaxed);
        let now = if for_one { before.saturating_add(1) } else { 0 };
        self.for_one.store(now, Ordering::Relaxed);
        let before = self.took.load(Ordering::Relaxed);
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.took.store(before - before / 8 + took / 8, Ordering::Relaxed);
    }
}

/// Called for a submission that is alone.
pub(crate) type WakeAlone = Box<dyn Fn() + Send + Sync>;

/// One round of the writer, for its thread or another.
pub(crate) fn step(writer: &Mutex<Writer>) -> Step {
    Guarded(&mut lock(writer)).0.step()
}

impl Journal {
    /// Has `wake` called instead of waking the writer's thread whenever a submission is alone. It must neither block nor
    /// submit, and have [`Journal::write_alone`] called on some thread. What is not done within a second the writer's
    /// thread does. Only the first call counts.
    pub fn when_alone(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Someone else's is as good.
        let _ = self.shared.alone.set(Box::new(wake));
    }

    /// Writes what was submitted alone, and calls back; at most one frame. Blocks for as long as a sync takes that is
    /// mostly quick. Does nothing on a journal without threads.
    pub fn write_alone(&self) {
        let Some(writer) = &self.writer else { return };
        let mut is_left_over = false;
        if let Ok(mut writer) = writer.try_lock()
            && writer.is_at_rest()
        {
            Guarded(&mut writer).0.step();
            if writer.is_at_rest() {
                // Whoever has submitted since the step began has woken somebody.
                return;
            }
            is_left_over = true;
        }
        // Whoever has the writer may be past taking what waits. Then it still says that it is urgent.
        let mut core = self.shared.core();
        core.urgent |= is_left_over;
        if core.urgent {
            drop(core);
            self.shared.work.notify_one();
        }
    }
}

/// A panic in the writer must not leave callers waiting.
struct Guarded<'a>(&'a mut Writer);

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Failure::new("its writer ended"));
        }
    }
}
