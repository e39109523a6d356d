//! The signal that ends live reads and the server.

use tokio::sync::watch;

/// Fires a [`ShutdownSignal`]. Dropping it fires as well: nobody would be left to do it.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Tells whoever holds a clone of it that the server is to end.
#[derive(Debug, Clone)]
pub struct ShutdownSignal(watch::Receiver<bool>);

impl Trigger {
    /// Fires the signal; further calls do nothing.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl ShutdownSignal {
    /// A signal that has not fired, and what fires it.
    #[allow(clippy::new_ret_no_self, reason = "a signal without its trigger is of no use")]
    #[must_use]
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// Whether the signal has fired.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until the signal fires; returns at once when it has.
    pub async fn fired(&self) {
        // An error means that the trigger is gone, which counts as fired.
        let _ = self.0.clone().wait_for(|fired| *fired).await;
    }
}
