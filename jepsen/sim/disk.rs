//! A node's disk: what was not synced may be lost, torn or reordered when power fails.
//!
//! Contents are kept in sectors of 512 bytes: of those written since the last sync any subset survives a loss of power,
//! and of the name changes in a directory since its last sync a prefix or any subset. Directories themselves exist as
//! soon as they are named.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_journal::{Disk, DiskFile};

use crate::rng::Rng;
use crate::trace;

const SECTOR: usize = 512;

/// The disk of one node; clones are the same one.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

/// An open file. It is of no use after its process has ended.
#[derive(Clone)]
pub struct SimFile {
    disk: SimDisk,
    inode: usize,
    epoch: u64,
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimFile")
            .field("inode", &self.inode)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Unlink(PathBuf),
}

type Names = BTreeMap<PathBuf, usize>;

struct State {
    rng: Rng,
    node: u64,
    inodes: BTreeMap<usize, Inode>,
    next_inode: usize,
    names: Names,
    durable_names: Names,
    changes: Vec<NameChange>,
    /// Counts the processes that used this disk.
    epoch: u64,
    /// Changes until the machine stops, in the middle of one.
    fuse: Option<u64>,
    stopped: bool,
    failed: bool,
    /// Syncs until one fails; what it should have written is lost with it.
    sync_fuse: Option<u64>,
    /// Whether syncs do nothing: a planted bug, which simulations have to find.
    lies: bool,
    /// Bytes that all files together may have.
    capacity: u64,
    counters: Counters,
}

/// What a disk went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes, syncs and changes of names.
    pub changes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Sectors that a loss of power took.
    pub lost_sectors: u64,
    /// Changes of names that a loss of power took.
    pub lost_names: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Writes refused for want of space.
    pub refused: u64,
}

fn stopped() -> io::Error {
    io::Error::other("the machine stopped")
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            Self::Link(path, _) | Self::Rename(_, path, _) | Self::Unlink(path) => path.parent(),
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename(from, to, inode) => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
        }
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(node: u64, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            node,
            inodes: BTreeMap::new(),
            next_inode: 1,
            names: Names::new(),
            durable_names: Names::new(),
            changes: Vec::new(),
            epoch: 0,
            fuse: None,
            stopped: false,
            failed: false,
            sync_fuse: None,
            lies: false,
            capacity: u64::MAX,
            counters: Counters::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine stops in the middle of the change after `changes` more.
    pub fn set_fuse(&self, changes: Option<u64>) {
        self.lock().fuse = changes;
    }

    /// The sync after `syncs` more fails.
    pub fn set_sync_fuse(&self, syncs: Option<u64>) {
        self.lock().sync_fuse = syncs;
    }

    /// From now on syncs do nothing, and say that they did.
    pub fn lie(&self) {
        self.lock().lies = true;
    }

    /// Bounds the bytes of all files together.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Bytes that files may still take.
    #[must_use]
    pub fn free(&self) -> u64 {
        let state = self.lock();
        state.capacity.saturating_sub(state.used())
    }

    /// Whether the fuse has blown: the process must be taken down before anybody sees more of it.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Whether a sync has failed since the process began.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lock().failed
    }

    /// What it went through.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// The process ends; the page cache stays. Files that it had open fail from here on.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.stopped = false;
        state.failed = false;
        state.fuse = None;
        state.sync_fuse = None;
    }

    /// The machine loses power, after [`SimDisk::kill`].
    pub fn lose_power(&self) {
        let state = &mut *self.lock();
        let keep = [0, 10, 50, 90, 100][state.rng.below(5) as usize];
        for inode in state.inodes.values_mut() {
            state.counters.lost_sectors += inode.lose_power(&mut state.rng, keep);
        }
        let changes = std::mem::take(&mut state.changes);
        let cut = state.rng.below(changes.len() as u64 + 1) as usize;
        let any_order = state.rng.chance(30);
        for (at, change) in changes.iter().enumerate() {
            if (any_order && state.rng.chance(50)) || (!any_order && at < cut) {
                change.apply(&mut state.durable_names);
            } else {
                state.counters.lost_names += 1;
            }
        }
        state.names = state.durable_names.clone();
        let named: BTreeSet<usize> = state.names.values().copied().collect();
        state.inodes.retain(|inode, _| named.contains(inode));
    }

    /// Everything is lost: the next process finds an empty disk.
    pub fn wipe(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.inodes.clear();
        state.names.clear();
        state.durable_names.clear();
        state.changes.clear();
    }

    fn handle(&self, state: &State, inode: usize) -> SimFile {
        SimFile {
            disk: self.clone(),
            inode,
            epoch: state.epoch,
        }
    }

    /// Whether a file is there.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.lock().names.contains_key(path)
    }

    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// When the machine has stopped.
    pub fn open_or_create(&self, path: &Path) -> io::Result<SimFile> {
        let state = &mut *self.lock();
        match state.names.get(path).copied() {
            Some(inode) => Ok(self.handle(state, inode)),
            None => self.make(state, path),
        }
    }

    fn make(&self, state: &mut State, path: &Path) -> io::Result<SimFile> {
        let inode = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(inode, Inode::default());
        state.change(NameChange::Link(path.to_owned(), inode))?;
        Ok(self.handle(state, inode))
    }
}

impl Inode {
    /// Keeps of what was not synced each sector in `keep` of 100 cases; says how many are lost.
    fn lose_power(&mut self, rng: &mut Rng, keep: u64) -> u64 {
        let mut after = std::mem::take(&mut self.durable);
        if self.current.len() != after.len() && rng.chance(50) {
            after.resize(self.current.len(), 0);
        }
        let mut lost = 0;
        for sector in std::mem::take(&mut self.dirty) {
            let end = ((sector + 1) * SECTOR).min(after.len()).min(self.current.len());
            let range = sector * SECTOR..end;
            if !range.is_empty() && rng.chance(keep) {
                after[range.clone()].copy_from_slice(&self.current[range]);
            } else {
                lost += 1;
            }
        }
        self.current.clone_from(&after);
        self.durable = after;
        lost
    }

    /// Writes out what is dirty; each sector only with `chance` of 100 when the sync does not end well.
    fn sync(&mut self, rng: &mut Rng, chance: u64, keeps_dirty: bool) {
        if self.durable.len() != self.current.len() && rng.chance(chance) {
            self.durable.resize(self.current.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let end = ((sector + 1) * SECTOR).min(self.durable.len()).min(self.current.len());
            let range = sector * SECTOR..end;
            if !range.is_empty() && rng.chance(chance) {
                self.durable[range.clone()].copy_from_slice(&self.current[range]);
            } else if keeps_dirty {
                self.dirty.insert(sector);
            }
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        // A file without a name gives its space free at once, even if a power loss may bring it back.
        let named: BTreeSet<usize> = self.names.values().copied().collect();
        named.iter().map(|inode| self.inodes[inode].current.len() as u64).sum()
    }

    /// Counts a change; true when the machine stops in it.
    fn tick(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Err(stopped());
        }
        self.counters.changes += 1;
        match &mut self.fuse {
            Some(0) => {
                self.stopped = true;
                Ok(true)
            }
            Some(left) => {
                *left -= 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    fn change(&mut self, change: NameChange) -> io::Result<()> {
        let stops = self.tick()?;
        trace::hash(self.node, b"name", self.changes.len() as u64);
        if !stops || self.rng.chance(50) {
            change.apply(&mut self.names);
            self.changes.push(change);
        }
        if stops { Err(stopped()) } else { Ok(()) }
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no file {}", path.display())))
    }
}

impl Disk for SimDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let below = state.names.keys().filter_map(|path| path.strip_prefix(dir).ok());
        let names: BTreeSet<String> = below
            .filter_map(|rest| rest.components().next())
            .map(|name| name.as_os_str().to_string_lossy().into_owned())
            .collect();
        Ok(names.into_iter().collect())
    }

    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.make(&mut self.lock(), path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.lock();
        Ok(Arc::new(self.handle(&state, state.inode(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let inode = state.inode(from)?;
        state.change(NameChange::Rename(from.to_owned(), to.to_owned(), inode))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.inode(path)?;
        state.change(NameChange::Unlink(path.to_owned()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.lock();
        let stops = state.tick()?;
        let changes = std::mem::take(&mut state.changes);
        let (mut synced, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.dir() == Some(dir));
        if stops {
            synced.truncate(state.rng.below(synced.len() as u64 + 1) as usize);
        }
        synced.iter().for_each(|change| change.apply(&mut state.durable_names));
        state.changes = others;
        if stops { Err(stopped()) } else { Ok(()) }
    }
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.epoch == self.epoch {
            Ok(state)
        } else {
            Err(io::Error::other("a file of a process that has ended"))
        }
    }

    /// Cuts the file off, or makes it longer by zeros.
    ///
    /// # Errors
    /// When the machine has stopped or the disk is full.
    pub fn set_size(&self, bytes: u64) -> io::Result<()> {
        let state = &mut *self.state()?;
        let stops = state.tick()?;
        let (used, capacity) = (state.used(), state.capacity);
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(stopped)?;
        let size = inode.current.len() as u64;
        if bytes > size && used + (bytes - size) > capacity {
            state.counters.refused += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        trace::hash(state.node, b"size", bytes);
        let length = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        // What comes behind the old end are zeros, also where the file was longer once.
        inode.dirty.retain(|sector| sector * SECTOR < length);
        let old = inode.current.len();
        inode.current.resize(length, 0);
        if length > old {
            inode.dirty.extend(old / SECTOR..=(length - 1) / SECTOR);
        }
        if stops { Err(stopped()) } else { Ok(()) }
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let state = self.state()?;
        let inode = state.inodes.get(&self.inode).ok_or_else(stopped)?;
        Ok(inode.current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state()?;
        if state.stopped {
            return Err(stopped());
        }
        let bytes = &state.inodes.get(&self.inode).ok_or_else(stopped)?.current;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let found = bytes.get(start..start.saturating_add(buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let state = &mut *self.state()?;
        let stops = state.tick()?;
        let (used, capacity) = (state.used(), state.capacity);
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(stopped)?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut end = start + bytes.len();
        let mut is_full = false;
        let grows = end.saturating_sub(inode.current.len()) as u64;
        if grows > 0 && used + grows > capacity {
            is_full = true;
            state.counters.refused += 1;
            let free = usize::try_from(capacity.saturating_sub(used)).unwrap_or(usize::MAX);
            end = (inode.current.len() + free).clamp(start, end);
        }
        if stops {
            end = start + state.rng.below((end - start) as u64 + 1) as usize;
        }
        trace::hash(state.node, &bytes[..end - start], offset);
        if end > inode.current.len() {
            inode.current.resize(end, 0);
        }
        if end > start {
            inode.current[start..end].copy_from_slice(&bytes[..end - start]);
            inode.dirty.extend(start / SECTOR..=(end - 1) / SECTOR);
        }
        match (stops, is_full) {
            (true, _) => Err(stopped()),
            (false, true) => Err(io::ErrorKind::StorageFull.into()),
            (false, false) => Ok(()),
        }
    }

    fn write_through(&self, pages: &[u8], offset: u64) -> io::Result<bool> {
        // Between the two it can stop like anywhere else.
        self.write_at(pages, offset)?;
        self.sync().map(|()| true)
    }

    fn sync(&self) -> io::Result<()> {
        let state = &mut *self.state()?;
        let stops = state.tick()?;
        state.counters.syncs += 1;
        let fails = match &mut state.sync_fuse {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(stopped)?;
        trace::hash(state.node, b"sync", inode.dirty.len() as u64);
        if state.lies && !stops && !fails {
            return Ok(());
        }
        let chance = if stops || fails { 50 } else { 100 };
        // A sync that fails leaves its pages clean: the next one will not write them.
        inode.sync(&mut state.rng, chance, stops);
        match (stops, fails) {
            (true, _) => Err(stopped()),
            (false, true) => {
                state.sync_fuse = None;
                state.failed = true;
                state.counters.failed_syncs += 1;
                Err(io::Error::other("the disk failed"))
            }
            (false, false) => Ok(()),
        }
    }
}
