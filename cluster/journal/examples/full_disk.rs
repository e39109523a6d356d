//! Fills a small real file system with a journal, twice, and checks that it is survived. Run it on a disk of its own:
//!
//! `cargo run --release -p weir-journal --example journal-full-disk -- DIR`

use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use bytes::Bytes;
use weir_journal::{Callback, Entry, Failure, Identity, Journal, LogId, Options, RealDisk, ReplicaKey, SubmitError};

const KEY: ReplicaKey = ReplicaKey { group: 1, replica: 1 };
const WAIT: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_secs(2);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("usage: journal-full-disk DIR")?);
    let options = Options {
        segment_bytes: 4 << 20,
        ..Options::new(Identity {
            cluster: [1; 16],
            node: [2; 16],
        })
    };
    let open = || Journal::open(&dir.join("journal"), options.clone(), Arc::new(RealDisk));

    // Something else on the disk, which will go later.
    let other = dir.join("other");
    std::fs::write(&other, vec![1; 12 << 20])?;
    let (journal, _) = open()?;
    let held = fill(&journal, 0)?;
    println!(
        "full after {held} entries of 1000 bytes: space {:?}, {:?}",
        journal.space(),
        journal.stats()
    );
    vote(&journal, "on the full disk")?;
    check(&journal, held)?;
    println!("a vote was synced, all entries can be read");

    // Nothing at all is left: not for the journal, not for a directory entry.
    let filler = dir.join("filler");
    let mut file = File::create(&filler)?;
    while file.write_all(&[1; 4096]).is_ok() {}
    drop(file);
    drop(journal);
    let started = Instant::now();
    let (journal, recovered) = open()?;
    println!(
        "reopened on the full disk in {:?}: {} frames",
        started.elapsed(),
        recovered.frames
    );
    check(&journal, held)?;
    vote(&journal, "after the restart")?;
    let held = refused(&journal, held)?;

    std::fs::remove_file(&other)?;
    let extra = fill(&journal, held)?;
    println!("the other file went: {} more entries without a restart", extra - held);
    done(|callback| journal.purge(KEY, LogId::new(1, 1, extra - 2), callback))?;
    let more = fill(&journal, extra)?;
    println!(
        "purged: {} more entries without a restart, {:?}",
        more - extra,
        journal.stats()
    );
    drop(journal);
    let (journal, _) = open()?;
    let entries = journal.read(KEY, 0..u64::MAX, u64::MAX)?;
    if entries.len() as u64 != more - extra + 1 {
        return Err(format!("{} entries after the last restart", entries.len()).into());
    }
    println!("reopened: {} entries. Survived.", entries.len());
    Ok(())
}

fn entry(index: u64) -> Entry {
    Entry {
        id: LogId::new(1, 1, index),
        payload: Bytes::from(vec![index as u8; 1000]),
    }
}

/// Appends until the journal refuses, and purges nothing; returns the next index.
fn fill(journal: &Journal, from: u64) -> Result<u64> {
    let mut refused = None;
    let mut index = from;
    loop {
        let (sender, receiver) = mpsc::channel();
        match journal.append(
            KEY,
            vec![entry(index)],
            Box::new(move |result| drop(sender.send(result))),
        ) {
            Ok(()) => {
                if index.is_multiple_of(64) {
                    receiver.recv_timeout(WAIT)??;
                }
                index += 1;
                refused = None;
            }
            // Freed space is noticed within the retry time, and recycling a segment takes a moment.
            Err(SubmitError::StorageFull) if refused.get_or_insert_with(Instant::now).elapsed() < RETRY => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(SubmitError::StorageFull) => break,
            Err(other) => return Err(other.into()),
        }
    }
    done(|callback| journal.barrier(KEY, callback))?;
    Ok(index)
}

fn refused(journal: &Journal, mut index: u64) -> Result<u64> {
    // What is reserved takes some entries still; in the end they are refused.
    for _ in 0..100_000 {
        match journal.append(KEY, vec![entry(index)], Box::new(|_| ())) {
            Ok(()) => index += 1,
            Err(SubmitError::StorageFull) => {
                done(|callback| journal.truncate_after(KEY, Some(index - 1), callback))?;
                return Ok(index);
            }
            Err(other) => return Err(other.into()),
        }
    }
    Err("the full disk took everything".into())
}

fn vote(journal: &Journal, vote: &'static str) -> Result<()> {
    done(|callback| journal.save_vote(KEY, Bytes::from_static(vote.as_bytes()), callback))
}

fn check(journal: &Journal, held: u64) -> Result<()> {
    let entries = journal.read(KEY, 0..u64::MAX, u64::MAX)?;
    let right = entries
        .iter()
        .enumerate()
        .all(|(index, found)| *found == entry(index as u64));
    match right && entries.len() as u64 == held {
        true => Ok(()),
        false => Err(format!("{} entries read, {held} expected", entries.len()).into()),
    }
}

fn done(submit: impl FnOnce(Callback) -> std::result::Result<(), SubmitError>) -> Result<()> {
    let (sender, receiver) = mpsc::channel::<std::result::Result<(), Failure>>();
    submit(Box::new(move |result| drop(sender.send(result))))?;
    Ok(receiver.recv_timeout(WAIT)??)
}
