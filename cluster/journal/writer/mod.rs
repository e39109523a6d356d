//! The writer: everything that waits becomes one frame, one write, one sync; then the waiting callers are told.

mod fill;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use weir_mutant::Mutant;

use crate::{
    error::{Failure, is_space},
    format::frame::{FrameHeader, align},
    group::{Group, record_bytes},
    index::Place,
    limits::{KEPT_FRAME_BYTES, MAX_THROUGH_BYTES},
    pages::Pages,
    segment::Segment,
    shared::{Change, Op, Shared, is_small},
    types::{Callback, LogId},
};

use fill::{Built, Placed};

/// What a step of the writer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// Nothing to do.
    Idle,
    /// The next segment is needed and is not ready.
    Starved,
    /// The file system refused a write for lack of space.
    NoSpace,
    /// The journal failed or was closed.
    Stopped,
}

/// The one writer of a journal.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) current: Arc<Segment>,
    /// Where the next frame goes in the current segment.
    pub(crate) offset: u64,
    pub(crate) next_frame: u64,
    /// The oldest segment that recovery needs, as the next frame will say.
    pub(crate) oldest: u32,
    /// The oldest segment not given up yet: behind `oldest` until a frame that says so is synced.
    pub(crate) kept: u32,
    /// Drained submissions that are not synced.
    pub(crate) backlog: VecDeque<Op>,
    /// Entries of the first of them that are synced already.
    pub(crate) started: usize,
    pub(crate) frame: Vec<u8>,
    /// The frame again, as it is written past the page cache.
    pub(crate) pages: Pages,
    /// No write past the page cache was refused yet. After one that was, laying out pages would be in vain.
    pub(crate) goes_through: bool,
    /// Old segments deserve a look.
    pub(crate) look: bool,
    pub(crate) plan: Plan,
    /// What the last frame took to be written and synced.
    pub(crate) took: Duration,
    /// The last submission that is synced.
    pub(crate) synced: u64,
    /// The next frame's number when the writer last looked whether it has become idle.
    pub(crate) seen_frame: u64,
}

/// Records of the journal's own that go into the next frame.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) states: Vec<Arc<Group>>,
    pub(crate) moves: Vec<Move>,
    /// `oldest` advanced: a frame has to say so even if nothing else is to be written.
    pub(crate) announce: bool,
}

/// A live entry to be written again.
pub(crate) struct Move {
    pub(crate) group: Arc<Group>,
    pub(crate) id: LogId,
    pub(crate) from: Place,
    pub(crate) payload: Bytes,
}

impl Writer {
    /// Whether nothing is left to do but what callers have submitted since.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.backlog.is_empty() && !self.look && self.plan.is_empty()
    }

    /// Once per [`crate::limits::IDLE_WAKE`]: has the next step look at old segments, and gives back memory when nothing was
    /// written since the last time. Whoever still wants an entry reads it from the disk.
    pub(crate) fn tidy(&mut self) {
        self.look = true;
        if self.seen_frame == self.next_frame {
            self.shared.cache.clear(self.synced);
            self.frame.clear();
            self.frame.shrink_to(KEPT_FRAME_BYTES);
            self.pages.shrink();
        }
        self.seen_frame = self.next_frame;
    }

    /// Does one round: at most one frame.
    pub(crate) fn step(&mut self) -> Step {
        let (closing, starving) = {
            let mut core = self.shared.core();
            if core.failed.is_some() {
                drop(core);
                self.give_up();
                return Step::Stopped;
            }
            // Committed positions alone are worth no write of their own: they go with what comes next, or at the next
            // wake-up without anything else. Else every append would be followed by a second sync.
            let has_work = core.urgent || core.closing || self.look || !self.backlog.is_empty();
            if !has_work && self.plan.is_empty() {
                return Step::Idle;
            }
            core.urgent = false;
            self.backlog.extend(core.ops.drain(..));
            (core.closing, core.ready.is_empty())
        };
        if self.look
            && self.plan.is_empty()
            && let Err(failure) = self.make_plan()
        {
            return self.fail(failure);
        }
        let built = self.build(starving);
        if built.records == 0 && !self.plan.announce {
            if self.backlog.is_empty() && self.plan.is_empty() {
                return match (self.look, closing) {
                    (true, _) => Step::Worked,
                    (false, true) => self.close(),
                    (false, false) => Step::Idle,
                };
            }
            if built.placed.is_empty() {
                // What did not fit was kept back for want of a next segment. One may have come since; to go on in it now
                // would leave this one without a frame, if it is new, and that is taken for a lost one.
                if starving {
                    return Step::Starved;
                }
                return self.rotate();
            }
        }
        if self.offset + self.frame.len() as u64 > self.current.bytes {
            // Only a frame without records can be too long here: the header alone does not fit.
            return self.rotate();
        }
        match self.write(&built) {
            Ok(true) => {
                self.complete(built);
                Step::Worked
            }
            Ok(false) => {
                // What was planned went into the frame that was not written; plan again.
                self.look = true;
                Step::NoSpace
            }
            Err(failure) => self.fail(failure),
        }
    }

    /// Writes and syncs the frame; `false` when there was no space to write it.
    fn write(&mut self, built: &Built) -> Result<bool, Failure> {
        if built.records == 0 && !self.plan.announce {
            // Only barriers: what they wait for is synced already, but for the planted bug's.
            return Ok(!weir_mutant::is(Mutant::AnswerBeforeFsync) || self.current.file.sync().is_ok());
        }
        let seed = self.current.seed;
        FrameHeader::seal(
            &mut self.frame,
            seed,
            self.offset,
            self.next_frame,
            u64::from(self.oldest),
            built.records,
        );
        let began = Instant::now();
        let syncs = !(weir_mutant::is(Mutant::AnswerBeforeFsync) && self.has_only_entries(built));
        let next = align(self.offset + self.frame.len() as u64).min(self.current.bytes);
        let through = match syncs && self.goes_through && self.frame.len() <= MAX_THROUGH_BYTES {
            true => self.write_through(next),
            false => Ok(false),
        };
        let path = self.current.path.display();
        // Whether nothing is left to be synced.
        let settled = match through {
            Ok(false) => self.current.file.write_at(&self.frame, self.offset).map(|()| !syncs),
            other => other,
        };
        match settled {
            Ok(true) => {}
            // A failed sync is never tried again, not even for lack of space: the system may have dropped the data.
            Ok(false) => {
                (self.current.file.sync()).map_err(|error| Failure::new(format!("cannot sync {path}: {error}")))?
            }
            // Of a write past the page cache this may be the sync. All of its pages will be written again.
            Err(error) if is_space(&error) => {
                self.shared.core().write_shortage = true;
                return Ok(false);
            }
            Err(error) => {
                let offset = self.offset;
                return Err(Failure::new(format!("cannot write {path} at byte {offset}: {error}")));
            }
        }
        self.took = began.elapsed();
        self.next_frame += 1;
        self.offset = next;
        self.shared.counters.wrote(self.frame.len() as u64, self.took);
        Ok(true)
    }

    /// Writes the frame past the page cache, so that it is durable; `false` where that cannot be done. The next frame
    /// will stand at `next`.
    fn write_through(&mut self, next: u64) -> io::Result<bool> {
        let segment = &self.current;
        let (pages, from) = self.pages.lay(segment, self.offset, &self.frame)?;
        if from + pages.len() as u64 > segment.bytes {
            return Ok(false);
        }
        self.goes_through = segment.file.write_through(pages, from)?;
        if self.goes_through {
            self.pages.keep(segment, from, next);
        }
        Ok(self.goes_through)
    }

    /// Whether callers wait for nothing in this frame but entries.
    fn has_only_entries(&self, built: &Built) -> bool {
        let waits = |op: &Op| match &op.change {
            Change::Append(entries) => entries.is_empty(),
            Change::Committed => false,
            _ => true,
        };
        let is_own = !built.states.is_empty() || !built.moves.is_empty() || self.plan.announce;
        !is_own && !self.backlog.iter().take(built.placed.len()).any(waits)
    }

    /// Brings memory up to date with the synced frame and tells the callers.
    fn complete(&mut self, built: Built) {
        self.plan.announce = false;
        let segment = self.current.number;
        for (group, meta) in built.states {
            group.lock().disk.set_meta(meta, segment);
        }
        Shared::count(&self.shared.counters.moved, built.moves.len() as u64);
        for (group, id, place) in built.moves {
            group.lock().disk.place(id, place);
        }
        let mut done = Vec::new();
        let (mut bytes, mut stamp, mut callers) = (0, None, 0);
        for placed in built.placed {
            self.apply(&placed);
            if !placed.complete {
                self.started = placed.upto;
                break;
            }
            self.started = 0;
            if let Some(op) = self.backlog.pop_front() {
                bytes += op.bytes;
                stamp = Some(op.stamp);
                callers += u32::from(!matches!(op.change, Change::Committed));
                done.extend(op.done);
            }
        }
        let (others, waiting) = {
            let mut core = self.shared.core();
            core.queued_bytes -= bytes;
            core.remaining = self.current.bytes - self.offset;
            core.write_shortage = false;
            (core.urgent, core.waiting > 0)
        };
        self.shared
            .pace
            .note(callers <= 1 && !others && is_small(bytes), self.took);
        // To tell nobody takes a system call all the same.
        if waiting {
            self.shared.room.notify_all();
        }
        self.free_segments();
        run(done, Ok(()));
        if let Some(stamp) = stamp {
            self.synced = stamp;
            self.shared.cache.evict(stamp);
        }
    }

    /// Applies the synced part of the first submission of the backlog.
    fn apply(&mut self, placed: &Placed) {
        let Some(op) = self.backlog.front() else { return };
        let mut inner = op.group.lock();
        match &op.change {
            Change::Append(entries) => {
                let mut offset = placed.offset;
                for entry in &entries[self.started..placed.upto] {
                    inner.disk.place(entry.id, self.place(offset, entry.payload.len()));
                    offset += record_bytes(entry.payload.len());
                }
            }
            Change::Truncate(keep) => {
                inner.disk.truncate(*keep);
                self.look = true;
            }
            Change::State(meta) => {
                inner.disk.set_meta(meta.clone(), self.current.number);
                self.look = true;
            }
            Change::Committed => inner.disk.meta.committed = placed.committed,
            Change::Remove => {
                inner.disk.clear();
                let freed = inner.view.clear_cache();
                self.shared.cache.release(freed);
                drop(inner);
                self.shared
                    .groups
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&op.group.key);
                self.look = true;
            }
        }
    }

    /// Goes on in the next segment, if it is ready.
    fn rotate(&mut self) -> Step {
        let next = {
            let mut core = self.shared.core();
            let next = core.ready.pop_front();
            if let Some(next) = &next {
                core.remaining = next.usable();
            }
            next
        };
        self.shared.prepare.notify_all();
        let Some(next) = next else { return Step::Starved };
        self.shared
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(next.number, next.clone());
        self.offset = next.bytes - next.usable();
        self.current = next;
        self.look = true;
        Step::Worked
    }

    /// Ends a journal without anything left to write. The last frame is an empty one, so that damage to any frame with
    /// records is told from a torn write.
    fn close(&mut self) -> Step {
        let failure = Failure::closed();
        {
            let mut core = self.shared.core();
            if !core.ops.is_empty() {
                return Step::Worked;
            }
            core.failed = Some(failure);
        }
        if self.frame.len() as u64 <= self.current.bytes - self.offset && self.next_frame > 1 {
            self.plan.announce = true;
            // The journal is complete without it.
            let _ = self.write(&Built::default());
        }
        self.give_up();
        Step::Stopped
    }

    /// Stops the journal for good.
    pub(crate) fn fail(&mut self, failure: Failure) -> Step {
        self.shared.fail(failure);
        self.give_up();
        Step::Stopped
    }

    /// Completes what is left with the failure.
    fn give_up(&mut self) {
        let failure = {
            let mut core = self.shared.core();
            self.backlog.extend(core.ops.drain(..));
            core.failed.clone().unwrap_or_else(Failure::closed)
        };
        self.shared.wake_all();
        let done = self.backlog.drain(..).filter_map(|op| op.done).collect();
        run(done, Err(failure));
    }
}

impl Drop for Writer {
    /// A panic must not leave callers waiting.
    fn drop(&mut self) {
        if self.shared.core().failed.is_none() || !self.backlog.is_empty() {
            self.fail(Failure::new("its writer ended"));
        }
    }
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.states.is_empty() && self.moves.is_empty() && !self.announce
    }
}

fn run(done: Vec<Callback>, result: Result<(), Failure>) {
    for callback in done {
        callback(result.clone());
    }
}
