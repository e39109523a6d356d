//! Closed loop, or a rate that does not wait for the server.

use std::io;
use std::time::{Duration, Instant};

use super::gate::Window;

/// When one client begins its operations.
#[derive(Debug)]
pub(super) enum Pace {
    /// As soon as the last one is answered.
    Closed,
    /// At moments that were fixed before.
    Open(Schedule),
}

/// Moments at equal distances.
#[derive(Debug)]
pub(super) struct Schedule {
    next: Instant,
    step: Duration,
    timer: Timer,
}

impl Pace {
    /// For client `index` of `clients` that together begin `rate` operations per second, or as many as they can. The
    /// clients' moments lie evenly between each other.
    ///
    /// # Errors
    /// When the system has no more timers.
    pub(super) fn new(rate: Option<f64>, index: usize, clients: usize, opened: Instant) -> io::Result<Self> {
        let Some(rate) = rate else { return Ok(Self::Closed) };
        let between_clients = Duration::from_secs_f64(1.0 / rate);
        let (index, clients) = (u32::try_from(index), u32::try_from(clients));
        let (Ok(index), Ok(clients)) = (index, clients) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(Self::Open(Schedule {
            next: opened + between_clients * index,
            step: between_clients * clients,
            timer: Timer::new()?,
        }))
    }

    /// Waits for the next turn, and tells when it should have been.
    ///
    /// # Errors
    /// When the system's timer fails.
    pub(super) async fn turn(&mut self) -> io::Result<Instant> {
        let schedule = match self {
            Self::Closed => return Ok(Instant::now()),
            Self::Open(schedule) => schedule,
        };
        let turn = schedule.next;
        schedule.next += schedule.step;
        let wait = turn.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            schedule.timer.sleep(wait).await?;
        }
        Ok(turn)
    }

    /// How many measured turns are left from `turn` on: those that the server was too slow for.
    pub(super) fn left(&self, turn: Instant, window: &Window) -> u64 {
        let (Self::Open(schedule), Some(until)) = (self, window.until) else {
            return 0;
        };
        let time = until.saturating_duration_since(turn.max(window.from));
        u64::try_from(time.as_nanos().div_ceil(schedule.step.as_nanos().max(1))).unwrap_or(u64::MAX)
    }
}

/// The runtime's own timers wake up to two milliseconds late, which would count as the server's latency.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Timer(tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl Timer {
    #[allow(
        deprecated,
        reason = "what replaces it is unsafe, for types that could close or change their descriptor; this one does not"
    )]
    fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(tokio::io::unix::AsyncFd::new(timer)?))
    }

    async fn sleep(&self, time: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(time).map_err(|_| io::ErrorKind::InvalidInput)?,
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut guard = self.0.readable().await?;
            let read = guard.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0_u8; 8])?));
            if let Ok(read) = read {
                return read.map(|_| ());
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn sleep(&self, time: Duration) -> io::Result<()> {
        tokio::time::sleep(time).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_do_not_wait_for_whoever_is_late() {
        let opened = Instant::now();
        // 3 clients at 300 per second in all: each has a turn every 10 ms, this one from 3.3 ms on.
        let mut pace = Pace::new(Some(300.0), 1, 3, opened).unwrap();
        let first = pace.turn().await.unwrap();
        assert!(Instant::now() >= first);
        assert!((first - opened).abs_diff(Duration::from_micros(3333)) < Duration::from_micros(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let late = Instant::now();
        let second = pace.turn().await.unwrap();
        assert!((second - first).abs_diff(Duration::from_millis(10)) < Duration::from_micros(1));
        assert!(second < late, "a turn that has passed is still one");
    }

    #[tokio::test]
    async fn turns_that_were_missed_are_counted() {
        let opened = Instant::now();
        let pace = Pace::new(Some(10.0), 0, 1, opened).unwrap();
        let window = Window {
            opened,
            from: opened + Duration::from_secs(1),
            until: Some(opened + Duration::from_secs(3)),
        };
        assert_eq!(pace.left(opened, &window), 20);
        assert_eq!(pace.left(opened + Duration::from_millis(2900), &window), 1);
        assert_eq!(pace.left(opened + Duration::from_secs(3), &window), 0);
        assert_eq!(Pace::Closed.left(opened, &window), 0);
    }
}
