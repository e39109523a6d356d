//! The file backend after its files were damaged: what was synced is there, or opening says which byte is wrong.

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use weir_protocol::ReadFrom;
use weir_storage::{Batch, Op, Storage, StorageError};

use crate::model::{World, seen};
use crate::support::{AppendWords as _, CreateWords as _, Kind, Store, fork, message, name, text, text_stream};

/// A store of the file backend, and the model after every batch that it holds.
struct History {
    store: Store,
    worlds: Vec<World>,
    durable: bool,
}

impl History {
    /// One batch after the other, all in the redo log and in the logs.
    fn new() -> Self {
        Self::whole(true)
    }

    /// The same before anything is synced: the redo log alone has it.
    fn waiting() -> Self {
        Self::whole(false)
    }

    fn whole(durable: bool) -> Self {
        let mut history = Self::without_last(durable);
        history.batch(vec![Op::Append(name("f"), text("last").closing())]);
        history
    }

    fn without_last(durable: bool) -> Self {
        let mut history = Self {
            store: Store::new(Kind::File),
            worlds: vec![World::default()],
            durable,
        };
        history.batch(vec![
            Op::Create(name("a"), text_stream()),
            Op::Create(name("b"), text_stream()),
        ]);
        for number in 0..4 {
            history.batch(vec![
                Op::Append(name("a"), text(&format!("a{number}")).by("p", 0, number)),
                Op::Append(name("b"), text(&"b".repeat(50)).seq(&number.to_string())),
            ]);
        }
        history.batch(vec![
            Op::Create(name("f"), fork("a", Some(3), 1).with(message("fork"))),
            Op::Delete(name("a")),
        ]);
        history.batch(vec![
            Op::Delete(name("b")),
            Op::Create(name("b"), text_stream().with(message("new"))),
        ]);
        history
    }

    /// The same with everything in the logs and an empty redo log.
    fn settled() -> Self {
        let mut history = Self::new();
        history.store.reopen();
        history
    }

    fn batch(&mut self, ops: Vec<Op>) {
        let mut world = self.worlds.last().unwrap().clone();
        let batch = Batch {
            applied: Some(Bytes::from(self.worlds.len().to_string())),
            durable: self.durable,
            ..self.store.batch(ops)
        };
        for command in &batch.commands {
            world.apply(command);
        }
        self.store.storage().apply(batch).unwrap();
        self.worlds.push(world);
    }

    /// Changes a copy of the store, opens that, and says after which batch it stands.
    fn open_changed(&self, change: impl FnOnce(&Path)) -> Result<usize, StorageError> {
        self.with_changed(change, |storage| self.find(storage))
    }

    fn with_changed<T>(
        &self,
        change: impl FnOnce(&Path),
        look: impl FnOnce(&dyn Storage) -> T,
    ) -> Result<T, StorageError> {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in self.store.files() {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        change(dir.path());
        let storage = Kind::File.open(dir.path())?;
        Ok(look(&*storage))
    }

    /// After which batch the store stands. Fails when it is between two.
    fn find(&self, storage: &dyn Storage) -> usize {
        let batch = Self::applied(storage);
        for name in ["a", "b", "f"] {
            assert!(self.stands_at(batch, storage, name), "{name} after batch {batch}");
        }
        batch
    }

    fn applied(storage: &dyn Storage) -> usize {
        let applied = storage.applied().unwrap();
        applied.map_or(0, |applied| std::str::from_utf8(&applied).unwrap().parse().unwrap())
    }

    /// Whether a stream is as it was after that batch.
    fn stands_at(&self, batch: usize, storage: &dyn Storage, stream: &str) -> bool {
        let (name, now, world) = (name(stream), self.store.now, &self.worlds[batch]);
        let read = storage.read(&name, ReadFrom::Start, u64::MAX, now).map(seen);
        storage.head(&name, now) == world.head(&name, now) && read == world.read(&name, ReadFrom::Start, u64::MAX, now)
    }

    fn last(&self) -> usize {
        self.worlds.len() - 1
    }
}

fn damage(opened: Result<usize, StorageError>) -> String {
    match opened {
        Err(StorageError::Damaged(what)) => what,
        other => panic!("damage went unnoticed: {other:?}"),
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

fn cut(path: &Path, length: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn length(history: &History, path: &str) -> usize {
    std::fs::metadata(history.store.dir.path().join(path))
        .unwrap()
        .len()
        .try_into()
        .unwrap()
}

/// The ids of the logs: `a`, the first and second `b`, and `f` were given 1, 2, 4 and 3.
const LOGS: [&str; 3] = ["streams/1.log", "streams/3.log", "streams/4.log"];

#[test]
fn a_torn_redo_log_ends_with_its_last_whole_batch() {
    let history = History::waiting();
    let whole = length(&history, "redo.log");
    let mut found = Vec::new();
    for length in (50..=whole).rev().step_by(7) {
        found.push(
            history
                .open_changed(|dir| cut(&dir.join("redo.log"), length as u64))
                .unwrap(),
        );
    }
    assert!(found.is_sorted_by(|later, earlier| later >= earlier), "{found:?}");
    assert_eq!((found[0], found[found.len() - 1]), (history.last(), 0));
}

#[test]
fn zeros_at_the_end_of_the_redo_log_are_a_torn_end() {
    let history = History::waiting();
    let whole = length(&history, "redo.log") as u64;
    let opened = history.open_changed(|dir| {
        cut(&dir.join("redo.log"), whole - 20);
        cut(&dir.join("redo.log"), whole + 10_000);
    });
    assert_eq!(opened, Ok(history.last() - 1));
}

#[test]
fn a_batch_that_was_not_synced_ends_the_redo_log_when_it_cannot_be_read() {
    let history = History::waiting();
    let whole = length(&history, "redo.log");
    let mut found = Vec::new();
    // The first record was synced when the file was begun.
    for at in (60..whole).step_by(11) {
        found.push(history.open_changed(|dir| flip(&dir.join("redo.log"), at)).unwrap());
    }
    assert!(found.is_sorted(), "{found:?}");
    assert_eq!((found[0], found[found.len() - 1]), (0, history.last() - 1));
}

#[test]
fn a_synced_batch_that_cannot_be_read_is_damage() {
    let history = History::new();
    for at in (0..length(&history, "redo.log")).step_by(11) {
        let what = damage(history.open_changed(|dir| flip(&dir.join("redo.log"), at)));
        if let Some(byte) = what.strip_prefix("no valid record in redo.log at byte ") {
            assert!(byte.parse::<usize>().unwrap() <= at, "byte {at}: {what}");
        } else {
            // Nothing after the last batch says that it was synced, but the logs do.
            assert_eq!(
                what,
                format!("redo.log ends with batch {}, streams/3.log has batch {}", 7, 8)
            );
        }
    }
}

#[test]
fn the_redo_log_repairs_what_never_reached_the_logs() {
    let history = History::new();
    for log in LOGS {
        for at in (0..length(&history, log)).step_by(17) {
            let path = |dir: &Path| dir.join(log);
            assert_eq!(history.open_changed(|dir| flip(&path(dir), at)), Ok(history.last()));
            assert_eq!(
                history.open_changed(|dir| cut(&path(dir), at as u64)),
                Ok(history.last())
            );
        }
        assert_eq!(
            history.open_changed(|dir| std::fs::remove_file(dir.join(log)).unwrap()),
            Ok(history.last())
        );
    }
}

#[test]
fn any_changed_byte_of_a_log_is_found() {
    let history = History::settled();
    assert_eq!(history.open_changed(|_| ()), Ok(history.last()));
    for log in LOGS {
        for at in (0..length(&history, log)).step_by(5) {
            let what = damage(history.open_changed(|dir| flip(&dir.join(log), at)));
            let byte = what
                .strip_prefix(&format!("no valid frame in {log} at byte "))
                .map(str::parse::<usize>);
            assert!(byte.is_some_and(|byte| byte.unwrap() <= at), "{what}");
        }
    }
}

#[test]
fn a_log_that_lost_its_end_is_found() {
    let history = History::settled();
    let log = "streams/3.log";
    let whole = length(&history, log);
    // A log that ends exactly where an earlier batch ended looks as it did then: the one loss that is not noticed.
    let earlier = length(&History::without_last(true), log);
    for end in (0..whole).filter(|end| *end != earlier) {
        let what = damage(history.open_changed(|dir| cut(&dir.join(log), end as u64)));
        assert!(what.contains(log), "{what}");
    }
}

#[test]
fn what_lies_behind_a_log_is_damage() {
    let history = History::settled();
    let whole = length(&history, "streams/3.log");
    let what = damage(history.open_changed(|dir| cut(&dir.join("streams/3.log"), whole as u64 + 100)));
    assert_eq!(what, format!("no valid frame in streams/3.log at byte {whole}"));
}

#[test]
fn missing_and_swapped_files_are_found() {
    let history = History::settled();
    let what = damage(history.open_changed(|dir| std::fs::remove_file(dir.join("redo.log")).unwrap()));
    assert_eq!(what, "redo.log is missing, but not streams/1.log");
    let what = damage(history.open_changed(|dir| std::fs::remove_file(dir.join("streams/1.log")).unwrap()));
    assert_eq!(what, "streams/3.log: stream f is a fork of a, which is not there");
    let what = damage(history.open_changed(|dir| {
        std::fs::copy(dir.join("streams/3.log"), dir.join("streams/9.log")).unwrap();
    }));
    assert_eq!(what, "no valid frame in streams/9.log at byte 0");
}

#[test]
fn leftovers_of_a_crash_are_cleared_away() {
    let history = History::settled();
    let opened = history.open_changed(|dir| {
        std::fs::write(dir.join("streams/3.new"), b"half a copy").unwrap();
        std::fs::write(dir.join("redo.new"), b"half a redo log").unwrap();
        std::fs::write(dir.join("trash/2.log"), b"a removed log").unwrap();
        std::fs::write(dir.join("streams/README"), b"somebody's note").unwrap();
    });
    assert_eq!(opened, Ok(history.last()));
}

/// What may become of a file.
#[derive(Debug, Clone)]
enum Change {
    Write { at: prop::sample::Index, bytes: Vec<u8> },
    Insert { at: prop::sample::Index, bytes: Vec<u8> },
    Replace { bytes: Vec<u8> },
    Cut { at: prop::sample::Index },
    CopyOver { from: prop::sample::Index },
    Remove,
}

fn change() -> impl Strategy<Value = (prop::sample::Index, Change)> {
    let bytes = || prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..40);
    let change = prop_oneof![
        4 => (any::<prop::sample::Index>(), bytes()).prop_map(|(at, bytes)| Change::Write { at, bytes }),
        2 => (any::<prop::sample::Index>(), bytes()).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        1 => bytes().prop_map(|bytes| Change::Replace { bytes }),
        2 => any::<prop::sample::Index>().prop_map(|at| Change::Cut { at }),
        1 => any::<prop::sample::Index>().prop_map(|from| Change::CopyOver { from }),
        1 => Just(Change::Remove),
    ];
    (any::<prop::sample::Index>(), change)
}

fn make(dir: &Path, paths: &[String], (file, change): &(prop::sample::Index, Change)) {
    let path = dir.join(&paths[file.index(paths.len())]);
    let Ok(mut bytes) = std::fs::read(&path) else {
        return;
    };
    match change {
        Change::Write { at, bytes: new } => {
            let at = at.index(bytes.len() + 1);
            let end = (at + new.len()).min(bytes.len());
            bytes.splice(at..end, new.iter().copied());
        }
        Change::Insert { at, bytes: new } => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, new.iter().copied());
        }
        Change::Replace { bytes: new } => bytes.clone_from(new),
        Change::Cut { at } => bytes.truncate(at.index(bytes.len() + 1)),
        Change::CopyOver { from } => bytes = std::fs::read(dir.join(&paths[from.index(paths.len())])).unwrap_or(bytes),
        Change::Remove => return std::fs::remove_file(path).unwrap(),
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn whatever_the_files_hold_it_opens_whole_or_not_at_all() {
    let histories = [History::new(), History::settled()];
    let config = ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(which in 0_usize..2, changes in prop::collection::vec(change(), 1..4))| {
        let history = &histories[which];
        let paths: Vec<String> = history.store.files().into_iter().map(|(path, _)| path).filter(|path| path != "lock").collect();
        // A log that ends with an earlier batch, or is missing, is not noticed when no fork needs it.
        let whole = |storage: &dyn Storage| {
            let batches = 0..=history.last();
            ["a", "b", "f"].map(|name| batches.clone().any(|batch| history.stands_at(batch, storage, name)))
        };
        match history.with_changed(|dir| changes.iter().for_each(|change| make(dir, &paths, change)), whole) {
            Ok(whole) => prop_assert_eq!(whole, [true; 3]),
            Err(error) => prop_assert!(matches!(error, StorageError::Damaged(_)), "{error}"),
        }
    });
}
