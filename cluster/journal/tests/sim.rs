//! A disk in memory that can lose power: of what was not synced any subset of sectors survives, and any prefix or
//! subset of the name changes since the last sync of the directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use rustix::io::Errno;
use weir_journal::{Disk, DiskFile};

use crate::rng::Rng;

const SECTOR: usize = 512;

pub(crate) struct Sim {
    state: Mutex<State>,
}

/// Handle that implements the disk.
#[derive(Clone)]
pub(crate) struct SimDisk(pub(crate) Arc<Sim>);

struct SimFile {
    sim: Arc<Sim>,
    inode: usize,
    epoch: u64,
}

#[derive(Clone, Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameChange {
    Link(String, usize),
    Rename(String, String, usize),
    Unlink(String),
}

type Names = BTreeMap<String, usize>;

struct State {
    rng: Rng,
    inodes: BTreeMap<usize, Inode>,
    next_inode: usize,
    names: Names,
    durable_names: Names,
    changes: Vec<NameChange>,
    epoch: u64,
    /// Operations until the machine stops.
    fuse: Option<u64>,
    stopped: bool,
    /// Syncs until one fails, dropping what it should have written.
    sync_fuse: Option<u64>,
    /// Bytes that all files together may have.
    capacity: u64,
    /// No further file can be opened.
    crowded: bool,
    /// Operations done in all.
    operations: u64,
    /// Files can be written past the page cache.
    writes_through: bool,
}

fn stopped() -> io::Error {
    io::Error::other("the machine stopped")
}

fn apply(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        NameChange::Rename(from, to, inode) => {
            if names.get(from) == Some(inode) {
                names.remove(from);
            }
            names.insert(to.clone(), *inode);
        }
        NameChange::Unlink(name) => {
            names.remove(name);
        }
    }
}

impl Sim {
    pub(crate) fn disk(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Sim {
            state: Mutex::new(State {
                rng: Rng::new(seed),
                inodes: BTreeMap::new(),
                next_inode: 1,
                names: Names::new(),
                durable_names: Names::new(),
                changes: Vec::new(),
                epoch: 0,
                fuse: None,
                stopped: false,
                sync_fuse: None,
                capacity: u64::MAX,
                crowded: false,
                operations: 0,
                writes_through: seed.is_multiple_of(2),
            }),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The machine stops in the middle of the operation after `operations` more.
    pub(crate) fn set_fuse(&self, operations: Option<u64>) {
        self.lock().fuse = operations;
    }

    /// The sync after `syncs` more fails.
    pub(crate) fn set_sync_fuse(&self, syncs: Option<u64>) {
        self.lock().sync_fuse = syncs;
    }

    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    pub(crate) fn set_crowded(&self, crowded: bool) {
        self.lock().crowded = crowded;
    }

    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    pub(crate) fn used(&self) -> u64 {
        self.lock().used()
    }

    /// The process ends; the page cache stays.
    pub(crate) fn kill(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.stopped = false;
        state.fuse = None;
        state.sync_fuse = None;
    }

    /// The machine loses power.
    pub(crate) fn power_loss(&self) {
        self.kill();
        let state = &mut *self.lock();
        let keep = [0, 10, 50, 90, 100][state.rng.below(5) as usize];
        for inode in state.inodes.values_mut() {
            let mut after = inode.durable.clone();
            if inode.current.len() > after.len() && state.rng.chance(50) {
                after.resize(inode.current.len(), 0);
            }
            for sector in &inode.dirty {
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(after.len()).min(inode.current.len());
                if !range.is_empty() && state.rng.chance(keep) {
                    after[range.clone()].copy_from_slice(&inode.current[range]);
                }
            }
            inode.dirty.clear();
            inode.current = after.clone();
            inode.durable = after;
        }
        let changes = std::mem::take(&mut state.changes);
        let cut = state.rng.below(changes.len() as u64 + 1) as usize;
        let any_order = state.rng.chance(30);
        for (at, change) in changes.iter().enumerate() {
            if (any_order && state.rng.chance(50)) || (!any_order && at < cut) {
                apply(&mut state.durable_names, change);
            }
        }
        state.names = state.durable_names.clone();
        let names = &state.names;
        state
            .inodes
            .retain(|inode, _| names.values().any(|named| named == inode));
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state.inodes[&state.names[name]].current.clone()
    }

    /// Overwrites bytes of a file, durably and without a trace.
    pub(crate) fn damage(&self, name: &str, offset: usize, bytes: &[u8]) {
        let state = &mut *self.lock();
        let inode = state.inodes.get_mut(&state.names[name]).unwrap();
        inode.current[offset..offset + bytes.len()].copy_from_slice(bytes);
        inode.durable = inode.current.clone();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }
}

impl State {
    fn used(&self) -> u64 {
        // A file without a name gives its space free at once, even if a power loss may bring it back.
        let named: BTreeSet<usize> = self.names.values().copied().collect();
        named.iter().map(|inode| self.inodes[inode].current.len() as u64).sum()
    }

    /// Counts an operation; true when the machine stops in it.
    fn tick(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Err(stopped());
        }
        self.operations += 1;
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
        if !stops || self.rng.chance(50) {
            apply(&mut self.names, &change);
            self.changes.push(change);
        }
        match stops {
            true => Err(stopped()),
            false => Ok(()),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_string()
}

impl Disk for SimDisk {
    fn list(&self, _dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.0.lock();
        if state.tick()? {
            return Err(stopped());
        }
        Ok(state.names.keys().cloned().collect())
    }

    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        if state.crowded {
            return Err(Errno::MFILE.into());
        }
        let inode = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(inode, Inode::default());
        state.change(NameChange::Link(name_of(path), inode))?;
        Ok(Arc::new(SimFile {
            sim: self.0.clone(),
            inode,
            epoch: state.epoch,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        if state.tick()? {
            return Err(stopped());
        }
        let inode = *state.names.get(&name_of(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile {
            sim: self.0.clone(),
            inode,
            epoch: state.epoch,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let inode = *state.names.get(&name_of(from)).ok_or(io::ErrorKind::NotFound)?;
        state.change(NameChange::Rename(name_of(from), name_of(to), inode))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.names.contains_key(&name_of(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(NameChange::Unlink(name_of(path)))?;
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        let stops = state.tick()?;
        let changes = std::mem::take(&mut state.changes);
        let keep = if stops {
            state.rng.below(changes.len() as u64 + 1) as usize
        } else {
            changes.len()
        };
        for change in &changes[..keep] {
            apply(&mut state.durable_names, change);
        }
        state.changes = changes[keep..].to_vec();
        match stops {
            true => Err(stopped()),
            false => Ok(()),
        }
    }
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.sim.lock();
        match state.epoch == self.epoch {
            true => Ok(state),
            false => Err(io::Error::other("a handle from before the crash")),
        }
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state()?.inodes[&self.inode].current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        if state.tick()? {
            return Err(stopped());
        }
        let bytes = &state.inodes[&self.inode].current;
        let range = offset as usize..offset as usize + buffer.len();
        buffer.copy_from_slice(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let state = &mut *self.state()?;
        let stops = state.tick()?;
        let (used, capacity) = (state.used(), state.capacity);
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        let (start, mut end) = (offset as usize, offset as usize + bytes.len());
        let mut full = false;
        if end > inode.current.len() {
            let free = capacity.saturating_sub(used) as usize;
            if end - inode.current.len() > free {
                full = true;
                end = (inode.current.len() + free).max(start);
            }
        }
        if stops {
            end = start + state.rng.below((end - start) as u64 + 1) as usize;
        }
        if end > inode.current.len() {
            inode.current.resize(end, 0);
        }
        if end > start {
            inode.current[start..end].copy_from_slice(&bytes[..end - start]);
            inode.dirty.extend(start / SECTOR..=(end - 1) / SECTOR);
        }
        match (stops, full) {
            (true, _) => Err(stopped()),
            (false, true) => Err(io::ErrorKind::StorageFull.into()),
            (false, false) => Ok(()),
        }
    }

    fn write_through(&self, pages: &[u8], offset: u64) -> io::Result<bool> {
        if !self.state()?.writes_through {
            return Ok(false);
        }
        let place = pages.as_ptr().addr() as u64;
        assert_eq!((place % 4096, pages.len() % 4096, offset % 4096), (0, 0, 0));
        // Between the two it can stop like anywhere else.
        self.write_at(pages, offset)?;
        self.sync().map(|()| true)
    }

    fn sync(&self) -> io::Result<()> {
        let state = &mut *self.state()?;
        let stops = state.tick()?;
        let fails = match &mut state.sync_fuse {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        if inode.durable.len() < inode.current.len() && !((stops || fails) && state.rng.chance(50)) {
            inode.durable.resize(inode.current.len(), 0);
        }
        let dirty = std::mem::take(&mut inode.dirty);
        for sector in dirty {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(inode.durable.len());
            let written = !((stops || fails) && state.rng.chance(50));
            if written && !range.is_empty() {
                inode.durable[range.clone()].copy_from_slice(&inode.current[range]);
            } else if stops {
                inode.dirty.insert(sector);
            }
            // A sync that fails leaves its pages clean: the next one will not write them.
        }
        match (stops, fails) {
            (true, _) => Err(stopped()),
            (false, true) => {
                state.sync_fuse = None;
                Err(io::Error::other("the disk failed"))
            }
            (false, false) => Ok(()),
        }
    }
}
