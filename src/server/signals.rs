//! SIGTERM and SIGINT: the first asks for a graceful end, the second ends the process at once.

use std::io::{self, Write as _};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals. From the moment it exists, neither ends the process by itself.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over both.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one, and gives its name and number.
    pub(crate) async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
            _ = self.interrupt.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
        }
    }

    /// From here on the next signal ends the process at once, with the code that a shell gives to an unhandled one.
    pub(crate) fn end_at_once_on_the_next(mut self) {
        tokio::spawn(async move {
            let (name, number) = self.next().await;
            // It ends all the same when nobody can be told.
            let _ = writeln!(
                io::stderr(),
                "error: a second signal ({name}) ended the process at once"
            );
            std::process::exit(128 + number);
        });
    }
}
