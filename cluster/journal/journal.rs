//! The handle of a journal, its two threads, opening and closing.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    alone,
    disk::Disk,
    error::{Failure, OpenError, is_space},
    group::Group,
    limits::{IDLE_WAKE, KEPT_SEGMENTS, Options, SPARE_SEGMENTS},
    pages::Pages,
    prepare::{self, Prepared, Preparer},
    recover::{self, Cut, Loaded},
    segment,
    shared::{Core, Shared, lock},
    types::{ReplicaKey, ReplicaState, SpaceStatus, Stats},
    writer::{Plan, Step, Writer},
};

/// A node's journal. All methods may be called from any thread; closing is dropping the last handle or
/// [`Journal::close`].
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    /// Absent without threads.
    pub(crate) writer: Option<Arc<Mutex<Writer>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What was found when the journal was opened.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// No journal was there; a new one was made. On a node that had one this means that its disk was replaced.
    pub fresh: bool,
    /// Every replica with anything in the journal.
    pub replicas: Vec<(ReplicaKey, ReplicaState)>,
    /// A torn frame that was cut off; none of its submissions was ever called back.
    pub cut: Option<Cut>,
    /// Frames replayed.
    pub frames: u64,
    /// Segments replayed.
    pub segments: u64,
}

/// Runs a journal without threads, step by step, for simulations.
pub struct Stepper {
    writer: Writer,
    preparer: Preparer,
}

impl Stepper {
    /// One round of the writer: at most one frame.
    pub fn write(&mut self) -> Step {
        self.writer.step()
    }

    /// One round of the preparer: at most one segment.
    pub fn prepare(&mut self) -> Prepared {
        self.preparer.step()
    }

    /// Lets the writer look at old segments and give back memory, as it does when idle.
    pub fn tidy(&mut self) {
        self.writer.tidy();
    }
}

impl Journal {
    /// Opens the journal in `dir`, or makes a new one if `dir` holds none. Nobody else may have it open.
    ///
    /// # Errors
    /// Damage that a crash cannot cause, another owner's files, and errors of the disk. A full disk is no error unless
    /// the journal is new.
    pub fn open(dir: &Path, options: Options, disk: Arc<dyn Disk>) -> Result<(Journal, Recovered), OpenError> {
        let (mut journal, recovered, stepper) = open(dir, options, disk, true)?;
        let Stepper { writer, preparer } = stepper;
        let writer = Arc::new(Mutex::new(writer));
        journal.writer = Some(writer.clone());
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(run)
                .map_err(OpenError::io("start a thread for", dir))
        };
        // If the second thread cannot be started, dropping the journal stops the first.
        let writing = spawn("journal-write", Box::new(move || run_writer(&writer)))?;
        lock(&journal.threads).push(writing);
        let preparing = spawn("journal-prepare", Box::new(move || run_preparer(preparer)))?;
        lock(&journal.threads).push(preparing);
        Ok((journal, recovered))
    }

    /// As [`Journal::open`], but without threads: nothing happens except in the stepper. Submissions that would wait
    /// are refused as busy.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_stepped(
        dir: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
    ) -> Result<(Journal, Recovered, Stepper), OpenError> {
        open(dir, options, disk, false)
    }

    /// How much room there is for entries.
    pub fn space(&self) -> SpaceStatus {
        self.shared.space()
    }

    /// Most bytes, counted by [`crate::append_bytes`], that one submission of entries may have.
    pub fn max_append_bytes(&self) -> u64 {
        self.shared.max_append()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let segments = self
            .shared
            .segments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len() as u64;
        let core = self.shared.core();
        Stats {
            segments,
            spare_segments: core.ready.len() as u64,
            queued_bytes: core.queued_bytes,
            cached_bytes: self.shared.cache.bytes(),
            frames: counters.frames.load(Ordering::Relaxed),
            frame_bytes: counters.frame_bytes.load(Ordering::Relaxed),
            write_time_us: counters.write_time_us.load(Ordering::Relaxed),
            write_times: counters
                .write_times
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
            moved_entries: counters.moved.load(Ordering::Relaxed),
            recycled_segments: counters.recycled.load(Ordering::Relaxed),
        }
    }

    /// Writes what is queued, completes every callback and stops. Later submissions and reads fail.
    pub fn close(&self) {
        self.shared.core().closing = true;
        self.shared.wake_all();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A panic of the writer has failed the journal already.
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

fn open(
    dir: &Path,
    options: Options,
    disk: Arc<dyn Disk>,
    blocking: bool,
) -> Result<(Journal, Recovered, Stepper), OpenError> {
    let options = options.clamped();
    disk.create_dir(dir).map_err(OpenError::io("create", dir))?;
    let loaded = recover::load(dir, &options, disk.as_ref())?;
    let core = Core {
        ops: Vec::new(),
        queued_bytes: 0,
        next_stamp: 1,
        remaining: 0,
        ready: VecDeque::new(),
        free: Vec::new(),
        shortage: false,
        write_shortage: false,
        urgent: false,
        closing: false,
        failed: None,
        waiting: 0,
    };
    let shared = Arc::new(Shared::new(options, dir.to_path_buf(), disk, blocking, core));
    let (loaded, fresh) = match loaded {
        Some(loaded) => (loaded, false),
        None => (make_new(&shared)?, true),
    };
    let recovered = Recovered {
        fresh,
        replicas: loaded
            .groups
            .iter()
            .map(|(key, inner)| (*key, inner.view.state()))
            .collect(),
        cut: loaded.cut.clone(),
        frames: loaded.frames,
        segments: loaded.segments.len() as u64,
    };
    let stepper = adopt(&shared, loaded);
    Ok((
        Journal {
            shared,
            writer: None,
            threads: Mutex::default(),
        },
        recovered,
        stepper,
    ))
}

/// The first segment of a new journal.
fn make_new(shared: &Shared) -> Result<Loaded, OpenError> {
    let path = segment::path_of(&shared.dir, 1);
    let made = prepare::create(shared, 1).map_err(|source| match is_space(&source) {
        true => {
            let _ = shared.disk.remove(&segment::spare_path_of(&shared.dir, 1));
            OpenError::StorageFull { path: path.clone() }
        }
        false => OpenError::Io {
            action: "create",
            path: path.clone(),
            source,
        },
    })?;
    Ok(Loaded::new(Arc::new(made)))
}

/// Puts what was loaded to work.
fn adopt(shared: &Arc<Shared>, loaded: Loaded) -> Stepper {
    let next_number = loaded.next_number();
    {
        let mut core = shared.core();
        core.remaining = loaded.tail.bytes - loaded.offset;
        core.ready = loaded.ready;
        core.free = loaded.free;
    }
    *shared.segments.write().unwrap_or_else(PoisonError::into_inner) = loaded.segments;
    *shared.groups.write().unwrap_or_else(PoisonError::into_inner) = loaded
        .groups
        .into_iter()
        .map(|(key, inner)| (key, Arc::new(Group::new(key, inner))))
        .collect();
    let writer = Writer {
        shared: shared.clone(),
        current: loaded.tail,
        offset: loaded.offset,
        next_frame: loaded.next_frame,
        oldest: loaded.oldest,
        kept: loaded.oldest,
        backlog: VecDeque::new(),
        started: 0,
        frame: Vec::new(),
        look: true,
        plan: Plan::default(),
        took: Duration::ZERO,
        pages: Pages::default(),
        goes_through: true,
        synced: 0,
        seen_frame: 0,
    };
    let preparer = Preparer {
        shared: shared.clone(),
        next_number,
        leftovers: loaded.leftovers,
    };
    Stepper { writer, preparer }
}

fn run_writer(writer: &Mutex<Writer>) {
    let shared = lock(writer).shared.clone();
    loop {
        match alone::step(writer) {
            Step::Worked => {}
            Step::Stopped => return,
            Step::Idle => {
                let core = shared.core();
                let idle = |core: &mut Core| !core.urgent && !core.closing && core.failed.is_none();
                let woken = shared.work.wait_timeout_while(core, IDLE_WAKE, idle);
                let (core, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
                // Whoever has the writer takes this lock, so nobody waits for the writer with it.
                drop(core);
                if timeout.timed_out() {
                    lock(writer).tidy();
                }
            }
            Step::Starved => {
                let core = shared.core();
                let starved = |core: &mut Core| {
                    core.ready.is_empty() && core.failed.is_none() && !(core.closing && core.shortage)
                };
                // It wakes now and then: a purge among what waits may have made an old segment free.
                let woken = shared.work.wait_timeout_while(core, IDLE_WAKE, starved);
                let (core, _) = woken.unwrap_or_else(PoisonError::into_inner);
                if core.closing && core.shortage && core.ready.is_empty() {
                    drop(core);
                    lock(writer).fail(Failure::new("it was closed while its disk was full"));
                }
            }
            Step::NoSpace => {
                let core = shared.core();
                if core.closing {
                    drop(core);
                    lock(writer).fail(Failure::new("it was closed while its disk was full"));
                    continue;
                }
                let waiting = |core: &mut Core| !core.closing && core.failed.is_none();
                let _ = shared
                    .work
                    .wait_timeout_while(core, shared.options.space_retry, waiting);
            }
        }
    }
}

fn run_preparer(mut preparer: Preparer) {
    let shared = preparer.shared.clone();
    loop {
        let pause = match preparer.step() {
            Prepared::Worked => continue,
            Prepared::Stopped => return,
            Prepared::Idle => None,
            Prepared::Shortage => Some(shared.options.space_retry),
        };
        let core = shared.core();
        let nothing = |core: &mut Core| {
            let wanted = core.ready.len() < SPARE_SEGMENTS && pause.is_none();
            let usable = if core.ready.len() < SPARE_SEGMENTS {
                0
            } else {
                KEPT_SEGMENTS
            };
            !wanted && core.free.len() <= usable && core.failed.is_none()
        };
        match pause {
            None => drop(
                shared
                    .prepare
                    .wait_while(core, nothing)
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            Some(pause) => {
                let woken = shared.prepare.wait_timeout_while(core, pause, nothing);
                drop(woken.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}
