//! Entries per second through the journal, against the raw limit: one thread that writes and syncs the same bytes.
//!
//! `cargo run --release -p weir-journal --example journal-bench -- [DIR]`
//! `cargo run --release -p weir-journal --example journal-bench -- DIR reopen`: how long opening 2 GiB takes.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use bytes::Bytes;
use weir_journal::{Entry, Identity, Journal, LogId, Options, RealDisk, ReplicaKey, append_bytes};

const PAYLOAD_BYTES: usize = 256;
const RUN: Duration = Duration::from_secs(3);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Measured {
    entries_per_s: f64,
    frames_per_s: f64,
    p50_us: u64,
    p99_us: u64,
    bytes_per_frame: u64,
}

fn main() -> Result<()> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join("weir-journal-bench");
    if std::env::args().nth(2).as_deref() == Some("reopen") {
        return reopen(&dir);
    }
    println!("appenders groups   entries/s   frames/s   p50 us   p99 us   raw entries/s   journal/raw");
    for (appenders, groups) in [(1, 1), (16, 16), (64, 16), (64, 64), (256, 16), (1024, 64)] {
        // Medians: single runs differ by a quarter.
        let mut runs = Vec::new();
        let mut raws = Vec::new();
        for _ in 0..3 {
            let run = journal(&dir, appenders, groups)?;
            raws.push(raw(&dir, run.bytes_per_frame)? * (run.entries_per_s / run.frames_per_s));
            runs.push(run);
        }
        runs.sort_by(|a, b| a.entries_per_s.total_cmp(&b.entries_per_s));
        raws.sort_by(f64::total_cmp);
        let (run, raw) = (&runs[1], raws[1]);
        println!(
            "{appenders:9} {groups:6} {:11.0} {:10.0} {:8} {:8} {raw:15.0} {:13.2}",
            run.entries_per_s,
            run.frames_per_s,
            run.p50_us,
            run.p99_us,
            run.entries_per_s / raw
        );
    }
    Ok(())
}

/// Fills 2 GiB with entries that nobody purges, and opens it again.
fn reopen(dir: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(dir);
    let options = || {
        Options::new(Identity {
            cluster: [1; 16],
            node: [2; 16],
        })
    };
    let (journal, _) = Journal::open(dir, options(), Arc::new(RealDisk))?;
    let payload = Bytes::from(vec![0x5a; PAYLOAD_BYTES]);
    let mut index = 0;
    while journal.stats().segments < 32 {
        for group in 0..16 {
            let key = ReplicaKey { group, replica: 1 };
            let entries = (index..index + 256).map(|index| Entry {
                id: LogId::new(1, 1, index),
                payload: payload.clone(),
            });
            journal.append(key, entries.collect(), Box::new(|_| ()))?;
        }
        index += 256;
    }
    journal.close();
    drop(journal);
    for _ in 0..3 {
        let started = Instant::now();
        let (journal, recovered) = Journal::open(dir, options(), Arc::new(RealDisk))?;
        let took = started.elapsed();
        println!(
            "{} segments, {} entries, {} frames: opened in {took:?}",
            recovered.segments,
            index * 16,
            recovered.frames
        );
        drop(journal);
    }
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// `appenders` entries outstanding at any time: each is followed by the next of its appender once it is called back.
/// One thread plays all appenders, as the measurement is of the journal, not of a thousand threads.
fn journal(dir: &Path, appenders: u64, groups: u64) -> Result<Measured> {
    let _ = std::fs::remove_dir_all(dir);
    let options = Options::new(Identity {
        cluster: [1; 16],
        node: [2; 16],
    });
    let (journal, _) = Journal::open(dir, options, Arc::new(RealDisk))?;
    let (sender, receiver) = mpsc::channel();
    let payload = Bytes::from(vec![0x5a; PAYLOAD_BYTES]);
    let mut next = vec![0; groups as usize];
    let mut append = |appender: u64| {
        let group = appender % groups;
        let index = next[group as usize];
        next[group as usize] += 1;
        let key = ReplicaKey { group, replica: 1 };
        let entry = Entry {
            id: LogId::new(1, 1, index),
            payload: payload.clone(),
        };
        let (sender, started) = (sender.clone(), Instant::now());
        let done = Box::new(move |result: std::result::Result<(), _>| {
            let _ = sender.send((appender, started.elapsed(), result.is_ok()));
        });
        journal.append(key, vec![entry], done)?;
        if index % 4096 == 4095 {
            // As a node with checkpoints does, so that segments are recycled.
            journal.purge(key, LogId::new(1, 1, index - 100), Box::new(|_| ()))?;
        }
        Ok::<_, weir_journal::SubmitError>(())
    };
    (0..appenders).try_for_each(&mut append)?;
    let mut latencies = Vec::new();
    let mut warm: Option<(Instant, u64, u64)> = None;
    let started = Instant::now();
    let (begun, frames, bytes) = loop {
        let (appender, latency, ok) = receiver.recv()?;
        if !ok {
            return Err("the journal failed".into());
        }
        match warm {
            None if started.elapsed() > Duration::from_millis(500) => {
                let stats = journal.stats();
                warm = Some((Instant::now(), stats.frames, stats.frame_bytes));
            }
            Some(begun) if begun.0.elapsed() > RUN => break begun,
            Some(_) => latencies.push(latency.as_micros() as u64),
            None => {}
        }
        append(appender)?;
    };
    let seconds = begun.elapsed().as_secs_f64();
    let stats = journal.stats();
    journal.close();
    latencies.sort_unstable();
    let at = |percent: usize| {
        latencies
            .get(latencies.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    let made = (stats.frames - frames).max(1);
    Ok(Measured {
        entries_per_s: latencies.len() as f64 / seconds,
        frames_per_s: made as f64 / seconds,
        p50_us: at(50),
        p99_us: at(99),
        bytes_per_frame: (stats.frame_bytes - bytes) / made,
    })
}

/// Writes and syncs per second of `bytes` each, one after the other over a file written before.
fn raw(dir: &Path, bytes: u64) -> Result<f64> {
    let path = dir.join("raw");
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)?;
    let size = 256 << 20;
    for offset in (0..size).step_by(1 << 20) {
        file.write_all_at(&vec![0; 1 << 20], offset)?;
    }
    file.sync_all()?;
    let block = vec![0x5a; bytes.max(append_bytes([PAYLOAD_BYTES]) / 2) as usize];
    let started = Instant::now();
    let (mut offset, mut count) = (0, 0_u64);
    while started.elapsed() < RUN / 3 {
        if offset + block.len() as u64 > size {
            offset = 0;
        }
        file.write_all_at(&block, offset)?;
        file.sync_data()?;
        offset += block.len() as u64;
        count += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(count as f64 / seconds)
}
