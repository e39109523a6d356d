//! What callers, the writer and the preparer share: the queue, the segments, the replicas.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    alone::{Pace, WakeAlone},
    cache::Cache,
    disk::Disk,
    error::{Failure, SubmitError},
    format::{
        frame::{FRAME_ALIGN, FRAME_HEADER_BYTES},
        record::Meta,
    },
    group::Group,
    limits::{ALONE_BYTES, Options, WRITE_TIME_BOUNDS_US},
    segment::Segment,
    types::{Callback, Entry, ReplicaKey, SpaceStatus},
};

/// Locks without regard to panics elsewhere: a panic of the writer fails the journal by itself.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frame bytes that a submission may cost beyond its records: it may be split once, at the end of a segment.
pub(crate) const SUBMISSION_OVERHEAD: u64 = 2 * (FRAME_HEADER_BYTES as u64 + FRAME_ALIGN);

/// One submission.
pub(crate) struct Op {
    pub(crate) group: Arc<Group>,
    pub(crate) change: Change,
    /// Counts up over all submissions.
    pub(crate) stamp: u64,
    /// Bytes reserved for it in the queue.
    pub(crate) bytes: u64,
    pub(crate) done: Option<Callback>,
}

/// What a submission changes.
pub(crate) enum Change {
    /// Entries at the end of the log; none for a submission that only waits for the ones before it.
    Append(Vec<Entry>),
    /// Keep entries up to the index, or none.
    Truncate(Option<u64>),
    /// A new vote or purge point.
    State(Meta),
    /// The committed position, read when it is written.
    Committed,
    /// The replica is gone.
    Remove,
}

/// Who sees to a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The writer's thread, which is woken.
    Writer,
    /// Whoever asked for what is submitted alone ([`crate::Journal::when_alone`]), and is told by the caller.
    Alone,
    /// Whoever comes next: it is in no hurry.
    Never,
}

/// Everything behind the one lock of the queue.
pub(crate) struct Core {
    pub(crate) ops: Vec<Op>,
    /// Bytes of submissions that are not synced yet, those being submitted included.
    pub(crate) queued_bytes: u64,
    pub(crate) next_stamp: u64,
    /// Bytes left in the segment being written.
    pub(crate) remaining: u64,
    /// Segments ready to be written, in order.
    pub(crate) ready: VecDeque<Arc<Segment>>,
    /// Segments to recycle or delete.
    pub(crate) free: Vec<Arc<Segment>>,
    /// The last attempt to make a segment found no space.
    pub(crate) shortage: bool,
    /// The last write found no space, on a file system that does not overwrite in place.
    pub(crate) write_shortage: bool,
    /// Something waits that should not wait for the next wake-up.
    pub(crate) urgent: bool,
    pub(crate) closing: bool,
    pub(crate) failed: Option<Failure>,
    /// How many callers wait for room.
    pub(crate) waiting: u32,
}

impl Core {
    /// Bytes of entries that may be under way at once. The last segment that is ready is kept for votes, truncations,
    /// purges and for moving records; entries get what is before it.
    fn capacity(&self) -> u64 {
        match self.ready.len() {
            0 => 0,
            1 => self.remaining,
            // What waits fits one whole segment, so it cannot reach into the reserve, wherever the current one ends.
            _ => self.ready[0].usable(),
        }
    }

    fn is_short(&self) -> bool {
        self.shortage || self.write_shortage
    }
}

/// Whether these bytes may be those of a single caller, as they are reserved in the queue.
pub(crate) const fn is_small(bytes: u64) -> bool {
    bytes <= ALONE_BYTES + SUBMISSION_OVERHEAD
}

/// State shared by the threads of one journal.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    /// Whether callers wait for room; without threads nobody would make any.
    pub(crate) blocking: bool,
    pub(crate) groups: RwLock<HashMap<ReplicaKey, Arc<Group>>>,
    /// Segments that may hold live records. The current one is the last.
    pub(crate) segments: RwLock<BTreeMap<u32, Arc<Segment>>>,
    pub(crate) cache: Cache,
    core: Mutex<Core>,
    /// Signalled when the writer has something to do.
    pub(crate) work: Condvar,
    /// Signalled when callers may find room.
    pub(crate) room: Condvar,
    /// Signalled when the preparer has something to do.
    pub(crate) prepare: Condvar,
    pub(crate) counters: Counters,
    pub(crate) pace: Pace,
    pub(crate) alone: OnceLock<WakeAlone>,
}

/// Counters behind [`crate::Stats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) frames: AtomicU64,
    pub(crate) frame_bytes: AtomicU64,
    pub(crate) write_time_us: AtomicU64,
    pub(crate) write_times: [AtomicU64; WRITE_TIME_BOUNDS_US.len() + 1],
    pub(crate) moved: AtomicU64,
    pub(crate) recycled: AtomicU64,
}

impl Counters {
    /// A frame was written and synced.
    pub(crate) fn wrote(&self, bytes: u64, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = WRITE_TIME_BOUNDS_US.partition_point(|bound| *bound < took_us);
        Shared::count(&self.frames, 1);
        Shared::count(&self.frame_bytes, bytes);
        Shared::count(&self.write_time_us, took_us);
        Shared::count(&self.write_times[place], 1);
    }
}

impl Shared {
    pub(crate) fn new(options: Options, dir: PathBuf, disk: Arc<dyn Disk>, blocking: bool, core: Core) -> Self {
        Shared {
            cache: Cache::new(options.cache_bytes),
            options,
            dir,
            disk,
            blocking,
            groups: RwLock::default(),
            segments: RwLock::default(),
            core: Mutex::new(core),
            work: Condvar::new(),
            room: Condvar::new(),
            prepare: Condvar::new(),
            counters: Counters::default(),
            pace: Pace::default(),
            alone: OnceLock::new(),
        }
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    fn wait_for_room<'a>(&self, mut core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        // Lazy records take room too, and would otherwise wait for the next wake-up.
        core.urgent = true;
        self.work.notify_one();
        core.waiting += 1;
        let mut core = self.room.wait(core).unwrap_or_else(PoisonError::into_inner);
        core.waiting -= 1;
        core
    }

    /// Whether whoever submits so many bytes is alone.
    pub(crate) fn is_alone(&self, bytes: u64) -> bool {
        is_small(bytes) && self.pace.is_alone()
    }

    /// Most bytes that one submission of entries may have.
    pub(crate) fn max_append(&self) -> u64 {
        // Room for the frame's own bytes is in `bytes` of the submission already.
        self.options.segment_bytes - crate::limits::SEGMENT_HEADER_BYTES
    }

    /// Reserves room for entries, waiting for the writer if that helps.
    pub(crate) fn reserve_entries(&self, bytes: u64) -> Result<(), SubmitError> {
        let max = self.max_append();
        if bytes > max {
            return Err(SubmitError::TooLarge { bytes, max });
        }
        let mut core = self.core();
        loop {
            if let Some(failure) = &core.failed {
                return Err(failure.clone().into());
            }
            let wanted = core.queued_bytes + bytes;
            if wanted <= core.capacity() && !core.write_shortage {
                if wanted <= self.options.queue_bytes || core.queued_bytes == 0 {
                    core.queued_bytes = wanted;
                    return Ok(());
                }
            } else if core.is_short() {
                return Err(SubmitError::StorageFull);
            }
            if !self.blocking {
                return Err(SubmitError::Busy);
            }
            if !self.options.waits_for_room {
                core.urgent = true;
                self.work.notify_one();
                return Err(SubmitError::Busy);
            }
            core = self.wait_for_room(core);
        }
    }

    /// Reserves room for anything but entries; those may use what is kept back from entries.
    pub(crate) fn reserve_control(&self, bytes: u64) -> Result<(), SubmitError> {
        let mut core = self.core();
        loop {
            if let Some(failure) = &core.failed {
                return Err(failure.clone().into());
            }
            if core.queued_bytes + bytes <= self.options.queue_bytes.saturating_mul(2) {
                core.queued_bytes += bytes;
                return Ok(());
            }
            if !self.blocking {
                return Err(SubmitError::Busy);
            }
            core = self.wait_for_room(core);
        }
    }

    /// Gives back a reservation that is not used.
    pub(crate) fn unreserve(&self, bytes: u64) {
        self.core().queued_bytes -= bytes;
        self.room.notify_all();
    }

    /// Queues a submission and returns its stamp. The caller holds the replica's lock, so submissions of one replica
    /// are queued in the order in which they changed it.
    pub(crate) fn push(
        &self,
        group: &Arc<Group>,
        change: Change,
        (bytes, wake): (u64, Wake),
        done: Option<Callback>,
    ) -> Result<u64, SubmitError> {
        let mut core = self.core();
        if let Some(failure) = &core.failed {
            return Err(failure.clone().into());
        }
        let stamp = core.next_stamp;
        core.next_stamp += 1;
        core.ops.push(Op {
            group: group.clone(),
            change,
            stamp,
            bytes,
            done,
        });
        // Who finds that something is urgent already need wake nobody.
        if wake != Wake::Never && !core.urgent {
            core.urgent = true;
            drop(core);
            if wake == Wake::Writer {
                self.work.notify_one();
            }
        }
        Ok(stamp)
    }

    pub(crate) fn space(&self) -> SpaceStatus {
        let core = self.core();
        if !core.is_short() {
            SpaceStatus::Ok
        } else if core.write_shortage || core.capacity() < core.queued_bytes + self.options.segment_bytes / 64 {
            SpaceStatus::Full
        } else {
            SpaceStatus::Low
        }
    }

    /// Stops the journal for good. The writer completes what is queued with the first failure.
    pub(crate) fn fail(&self, failure: Failure) {
        self.core().failed.get_or_insert(failure);
        self.wake_all();
    }

    pub(crate) fn wake_all(&self) {
        self.work.notify_all();
        self.room.notify_all();
        self.prepare.notify_all();
    }

    pub(crate) fn group(&self, key: ReplicaKey) -> Option<Arc<Group>> {
        self.groups
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned()
    }

    pub(crate) fn group_or_new(&self, key: ReplicaKey) -> Arc<Group> {
        if let Some(group) = self.group(key) {
            return group;
        }
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        groups
            .entry(key)
            .or_insert_with(|| Arc::new(Group::new(key, Default::default())))
            .clone()
    }

    pub(crate) fn all_groups(&self) -> Vec<Arc<Group>> {
        self.groups
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    pub(crate) fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.segments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&number)
            .cloned()
    }

    pub(crate) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
