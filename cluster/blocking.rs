//! Calls that may block for long: on threads of their own, so that they hold up nothing else.

use std::cell::Cell;
use std::future::Future;
use std::io;

use futures_util::future::{Either, ready};
use tokio::sync::oneshot;

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread makes such calls itself: for simulations, in which nothing may happen on another thread.
pub(crate) fn stay_on_this_thread() {
    INLINE.set(true);
}

/// Begins a call at once; its result comes when the future is awaited. Must be called within a runtime.
///
/// # Errors
/// When the call panics.
pub(crate) fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = io::Result<T>> {
    if INLINE.get() {
        return Either::Left(ready(Ok(run())));
    }
    let task = tokio::task::spawn_blocking(run);
    Either::Right(async move { task.await.map_err(io::Error::other) })
}

/// As [`blocking`], on a new thread, for what may take so long that it must not take another call's place.
///
/// # Errors
/// When the thread cannot be started; the future's, when the call panics.
pub(crate) fn on_its_own_thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<impl Future<Output = io::Result<T>>> {
    if INLINE.get() {
        return Ok(Either::Left(ready(Ok(run()))));
    }
    let (done, wait) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || drop(done.send(run())))?;
    Ok(Either::Right(async move {
        wait.await.map_err(|_| io::Error::other("the thread panicked"))
    }))
}
