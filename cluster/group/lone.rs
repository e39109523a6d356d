//! A write that comes while none is under way: whoever asked for it drives it, without a detour over the task that makes
//! batches. Where several come together that task is better: it lets them share a batch.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// What is known about the writes of one group.
#[derive(Default)]
pub(super) struct Traffic {
    under_way: AtomicUsize,
    /// Whether the last write had company: others in its batch, or under way when it came.
    is_dense: AtomicBool,
}

/// Counts a batch as under way for as long as it lives.
pub(super) struct UnderWay(Arc<Traffic>);

impl Traffic {
    /// One more batch, of so many commands.
    pub(super) fn begin(self: &Arc<Self>, commands: usize) -> UnderWay {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        self.is_dense.store(commands > 1 || others > 0, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// One more batch, of one command, if none is under way and the last write had no company.
    pub(super) fn begin_alone(self: &Arc<Self>) -> Option<UnderWay> {
        if self.is_dense.load(Ordering::Relaxed) {
            return None;
        }
        let begun = self
            .under_way
            .compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        if begun.is_err() {
            self.is_dense.store(true, Ordering::Relaxed);
            return None;
        }
        Some(UnderWay(Arc::clone(self)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work that goes on by itself when whoever waits for it goes away: a proposal that was begun is carried to its end, as its
/// number is waited for until then.
pub(super) struct Carried(Option<BoxFuture<'static, ()>>);

impl Carried {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl Future for Carried {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(work) = &mut self.0 {
            ready!(work.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // Without a runtime everything ends.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn only_one_is_alone() {
        let traffic = Arc::new(Traffic::default());
        drop(traffic.begin_alone().unwrap());
        let first = traffic.begin_alone().unwrap();
        assert!(traffic.begin_alone().is_none());
        let second = traffic.begin(1);
        drop((first, second));
        // Two were under way together, so the next ones might share a batch.
        assert!(traffic.begin_alone().is_none());
        drop(traffic.begin(2));
        assert!(traffic.begin_alone().is_none());
        drop(traffic.begin(1));
        assert!(traffic.begin_alone().is_some());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_carried_to_its_end() {
        let (go, gone) = oneshot::channel();
        let (done, was_done) = oneshot::channel();
        let mut carried = Carried::new(async move {
            let _ = gone.await;
            let _ = done.send(());
        });
        assert!(futures_util::poll!(&mut carried).is_pending());
        drop(carried);
        go.send(()).unwrap();
        was_done.await.unwrap();
    }
}
