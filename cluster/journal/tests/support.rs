//! Shorthands.

use std::{
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

use bytes::Bytes;
use weir_journal::{
    Callback, Disk, Entry, Failure, Identity, Journal, LogId, Options, Prepared, Recovered, ReplicaKey, Step, Stepper,
};

use crate::sim::SimDisk;

pub(crate) const SEGMENT: u64 = 16 * 1024;

pub(crate) fn identity() -> Identity {
    Identity {
        cluster: [7; 16],
        node: [9; 16],
    }
}

/// Settings with the smallest segments.
pub(crate) fn small() -> Options {
    Options {
        segment_bytes: SEGMENT,
        max_segments: 4,
        queue_bytes: 16 * 1024,
        ..Options::new(identity())
    }
}

pub(crate) fn key(group: u64) -> ReplicaKey {
    ReplicaKey { group, replica: 1 }
}

pub(crate) fn entry(index: u64, payload: impl Into<Bytes>) -> Entry {
    Entry {
        id: LogId::new(1, 1, index),
        payload: payload.into(),
    }
}

pub(crate) fn ignore() -> Callback {
    Box::new(|_| ())
}

pub(crate) fn open(disk: &SimDisk, options: Options) -> (Journal, Recovered, Stepper) {
    Journal::open_stepped(Path::new("/j"), options, Arc::new(disk.clone())).unwrap()
}

pub(crate) fn open_error(disk: &SimDisk, options: Options) -> weir_journal::OpenError {
    match Journal::open_stepped(Path::new("/j"), options, Arc::new(disk.clone())) {
        Ok(_) => panic!("the journal opened"),
        Err(error) => error,
    }
}

/// Steps until nothing is left to do.
pub(crate) fn settle(stepper: &mut Stepper) {
    for _ in 0..10_000 {
        let prepared = stepper.prepare();
        let written = stepper.write();
        if !matches!(prepared, Prepared::Worked) && !matches!(written, Step::Worked) {
            return;
        }
    }
    panic!("the journal never comes to rest");
}

/// Appends one entry and brings it to the disk.
pub(crate) fn put(journal: &Journal, stepper: &mut Stepper, group: u64, index: u64, payload: impl Into<Bytes>) {
    settle(stepper);
    let answer = Answer::new();
    journal
        .append(key(group), vec![entry(index, payload)], answer.callback())
        .unwrap();
    settle(stepper);
    assert!(
        matches!(answer.get(), Some(Ok(()))),
        "entry {index} of group {group} was not synced"
    );
}

/// Payloads of a replica from the first entry held on.
pub(crate) fn all(journal: &Journal, group: u64) -> Vec<Entry> {
    journal.read(key(group), 0..u64::MAX, u64::MAX).unwrap()
}

/// Waits for one callback.
#[derive(Clone, Default)]
pub(crate) struct Answer(Arc<Mutex<Option<Result<(), Failure>>>>);

impl Answer {
    pub(crate) fn new() -> Self {
        Answer::default()
    }

    pub(crate) fn callback(&self) -> Callback {
        let slot = self.0.clone();
        Box::new(move |result| assert!(slot.lock().unwrap().replace(result).is_none(), "called back twice"))
    }

    pub(crate) fn get(&self) -> Option<Result<(), Failure>> {
        self.0.lock().unwrap().clone()
    }
}

/// A callback and the other end of it, for journals with threads.
pub(crate) fn channel() -> (Callback, mpsc::Receiver<Result<(), Failure>>) {
    let (sender, receiver) = mpsc::channel();
    (Box::new(move |result| drop(sender.send(result))), receiver)
}

/// Opens a journal with threads on any disk.
pub(crate) fn open_threads(dir: &Path, options: Options, disk: impl Disk) -> (Journal, Recovered) {
    Journal::open(dir, options, Arc::new(disk)).unwrap()
}
