//! Some processes at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::RunnerError;

/// Calls `work` with each seed, on `jobs` threads, and `done` on this one with each result as it comes. The first error
/// ends it all.
pub(super) fn each<T: Send>(
    seeds: &[u64],
    jobs: usize,
    work: impl Fn(u64) -> Result<T, RunnerError> + Sync,
    mut done: impl FnMut(T),
) -> Result<(), RunnerError> {
    let next = AtomicUsize::new(0);
    let (results, received) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (results, next, work) = (results.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    if results.send(work(*seed)).is_err() {
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
