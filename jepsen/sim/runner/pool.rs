//! Some processes at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use super::RunnerError;

/// Calls `work` with each seed, on `jobs` threads, and `done` on this one with each result as it comes. The first error
/// ends it all.
pub(super) fn each<T: Send>(
    seeds: std::ops::Range<u64>,
    jobs: usize,
    work: impl Fn(u64) -> Result<T, RunnerError> + Sync,
    mut done: impl FnMut(T),
) -> Result<(), RunnerError> {
    let next = AtomicU64::new(seeds.start);
    let (results, received) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (results, next, work) = (results.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || results.send(work(seed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        for result in received {
            done(result?);
        }
        Ok(())
    })
}
