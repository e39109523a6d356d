//! tokio as openraft's runtime, with two differences.
//!
//! openraft's ticks, several per heartbeat of every replica, begin at a random moment each. On a node with many replicas
//! that wakes an idle processor many hundred times per second, and heartbeats of different groups never share a message.
//! Here all of them happen at the same moments. And a wait of microseconds, by which openraft gathers what the log tells,
//! does not become the millisecond that is tokio's shortest.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, Ready, ready};
use openraft::impls::TokioRuntime;
use openraft::{AsyncRuntime, OptionalSend};
use tokio::time::Instant as TokioInstant;

use crate::blocking::has_threads;

/// The pace of the node's ticks, in milliseconds; 0 before it is known. All replicas of a process have the same settings.
static PACE_MS: AtomicU64 = AtomicU64::new(0);

/// Moments at which ticks happen are whole paces after this one.
static BEGIN: OnceLock<TokioInstant> = OnceLock::new();

/// A wait that tokio would make much longer than asked for. openraft gathers for one microsecond; a tick must not end before
/// its time, however near that is: the next one would be for the same moment, and so on until it has come.
const SHORTEST_WAIT: Duration = Duration::from_micros(2);

/// Says how often leaders send heartbeats. openraft's ticks come twice as often, and not five times: each wakes every
/// replica.
pub(super) fn set_pace(heartbeat: Duration) {
    let pace_ms = u64::try_from(heartbeat.as_millis() / 2).unwrap_or_default();
    PACE_MS.store(pace_ms, Ordering::Relaxed);
}

/// What a wait of openraft's is made into.
fn paced(wait: Duration, since_begin: Duration, pace: Duration) -> Duration {
    let until = since_begin + wait;
    let Some(beyond) = until.as_nanos().checked_rem(pace.as_nanos()) else {
        return wait;
    };
    match u64::try_from(beyond) {
        Ok(0) | Err(_) => wait,
        Ok(beyond) => wait + pace - Duration::from_nanos(beyond),
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = Either<tokio::time::Sleep, Ready<()>>;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Either::Left(TokioRuntime::sleep(duration))
    }

    /// openraft calls this for its ticks, and to gather what the log tells.
    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        let now = <Self::Instant as openraft::Instant>::now();
        let wait = openraft::Instant::saturating_duration_since(&deadline, now);
        if wait < SHORTEST_WAIT {
            return match has_threads() {
                true => Either::Right(ready(())),
                // In a simulation time stands still until everybody waits.
                false => Either::Left(tokio::time::sleep(wait)),
            };
        }
        let now = TokioInstant::now();
        let since_begin = now.saturating_duration_since(*BEGIN.get_or_init(|| now));
        let pace = Duration::from_millis(PACE_MS.load(Ordering::Relaxed));
        Either::Left(tokio::time::sleep(paced(wait, since_begin, pace)))
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        TokioRuntime::thread_rng()
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_at_whole_paces() {
        let ms = Duration::from_millis;
        assert_eq!(paced(ms(30), ms(100), ms(50)), ms(50));
        assert_eq!(paced(ms(50), ms(100), ms(50)), ms(50));
        assert_eq!(paced(ms(61), ms(149), ms(50)), ms(101));
        assert_eq!(paced(ms(61), ms(149), ms(0)), ms(61));
    }

    #[tokio::test]
    async fn a_tick_that_is_due_soon_does_not_come_before_its_time() {
        for wait_us in [20, 300, 600] {
            type Instant = <Runtime as AsyncRuntime>::Instant;
            let due = <Instant as openraft::Instant>::now() + Duration::from_micros(wait_us);
            Runtime::sleep_until(due).await;
            assert!(<Instant as openraft::Instant>::now() >= due, "{wait_us} us");
        }
    }
}
