//! Recovery of the file backend: what is there when a store is opened whose files were damaged.

mod damage;
mod input;
mod layout;
mod script;
mod seeds;
mod state;

use std::fs;
use std::path::{Path, PathBuf};

use weir_protocol::StreamName;
use weir_storage::{FileOptions, FileStorage, MemoryStorage, Storage, StorageError};

use self::damage::Promise;
use self::input::Input;
use self::script::History;
use self::state::State;

pub(crate) use self::seeds::file_recovery as seeds;

/// Takes the bytes as a history of a store, and as what then happens to its files.
///
/// # Panics
/// When the store answers differently from the memory backend, when a batch that was durable is missing after what a
/// crash can do to files, when a stream is in a state in which it never was, or when opening a store twice gives two
/// states.
pub fn file_recovery(data: &[u8]) {
    let mut input = Input(data);
    // Nothing here depends on what a disk does with a sync, so memory will do and is faster.
    let shared_memory = Path::new("/dev/shm");
    let home = match tempfile::tempdir_in(shared_memory) {
        Ok(home) => Ok(home),
        Err(_) => tempfile::tempdir(),
    };
    let home = home.expect("a temporary directory");
    let (lived, image) = (home.path().join("lived"), home.path().join("image"));
    let history = script::play(&lived, &mut input);
    // While it is open: a store that closes may write what a crash would not.
    copy(&lived, &image);
    let promise = damage::damage(&image, &history.synced, &mut input);
    recover(&image, promise, &history);
}

fn open(dir: &Path) -> Result<FileStorage, StorageError> {
    FileStorage::open(&FileOptions { dir: dir.to_owned() })
}

fn recover(image: &Path, promise: Promise, history: &History) {
    let names = &history.names;
    let store = match open(image) {
        Ok(store) => store,
        Err(error) => {
            let is_crash = matches!(promise, Promise::Everything | Promise::WholeBatches);
            assert!(!is_crash, "a crash made a store unreadable: {error}");
            assert!(
                matches!(error, StorageError::Damaged(_) | StorageError::Io(_)),
                "{error:?}"
            );
            assert!(open(image).is_err(), "the second time it opens, after: {error}");
            return;
        }
    };
    let found = State::of(&store, names);
    let all = history.batches.len();
    let least = match promise {
        Promise::Everything => all,
        Promise::WholeBatches => history.synced.batches,
        Promise::EachStream | Promise::Calm => {
            let is_known = promise == Promise::Calm || (found.is_sound() && found.is_made_of(&history.states));
            assert!(is_known, "{found:#?}\nwas never in {:#?}", history.states);
            drop(store);
            assert_eq!(reopened(image, names), found, "opened twice");
            return;
        }
    };
    let whole = (least..=all)
        .rev()
        .find(|batches| history.states.get(*batches) == Some(&found));
    let Some(batches) = whole else {
        panic!(
            "{found:#?}\nis not one of the states after {least} to {all} batches: {:#?}",
            history.states
        );
    };
    let model = MemoryStorage::new();
    for batch in history.batches.iter().take(batches) {
        model.apply(batch.clone()).expect("a batch");
    }
    go_on(&store, &model, names);
    let last = State::of(&store, names);
    drop(store);
    assert_eq!(reopened(image, names), last, "opened again after going on");
}

fn reopened(image: &Path, names: &[StreamName]) -> State {
    let store = open(image).expect("a store that was recovered opens");
    State::of(&store, names)
}

/// A recovered store goes on as if nothing had happened, also in what readers cannot see: producers, deadlines, ids.
fn go_on(store: &FileStorage, model: &MemoryStorage, names: &[StreamName]) {
    let probe = script::probe(names);
    let expected = model.apply(probe.clone()).expect("a batch");
    assert_eq!(store.apply(probe).expect("a batch"), expected, "after recovery");
    assert_eq!(State::of(store, names), State::of(model, names));
}

/// The files below `dir`, as paths below it, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("a directory of the store is read") {
            let path = entry.expect("an entry of a directory").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push(path.strip_prefix(dir).expect("a path below").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(&path);
        fs::create_dir_all(target.parent().expect("a path below")).expect("a directory is made");
        fs::copy(from.join(path), target).expect("a file is copied");
    }
}
