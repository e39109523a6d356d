//! What asks the process to end: SIGTERM, SIGINT, and for a child of ours the end of its parent. The first asks for a
//! graceful end; a signal after that ends the process at once.

use std::future;
use std::io::{self, Read as _, Write as _};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot::{self, Receiver};

/// Who started the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// Somebody who sends signals.
    Any,
    /// Somebody who holds the other end of our standard input, and is gone when that ends, in whatever way.
    HoldsStdin,
}

/// All of them. From the moment it exists, no signal ends the process by itself.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    parent: Option<Receiver<()>>,
}

impl Signals {
    /// Takes over both signals.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub(crate) fn install(parent: Parent) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            parent: match parent {
                Parent::Any => None,
                Parent::HoldsStdin => Some(watch_stdin()?),
            },
        })
    }

    /// Waits for whatever asks next, and gives its name, and its number when it is a signal.
    pub(crate) async fn next(&mut self) -> (&'static str, Option<i32>) {
        let parent = async {
            match &mut self.parent {
                // Also when the thread that reads is gone: then nobody would ever tell.
                Some(parent) => drop(parent.await),
                None => future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", Some(SignalKind::terminate().as_raw_value())),
            _ = self.interrupt.recv() => ("SIGINT", Some(SignalKind::interrupt().as_raw_value())),
            () = parent => {
                self.parent = None;
                ("the end of standard input", None)
            }
        }
    }

    /// From here on the next signal ends the process at once, with the code that a shell gives to an unhandled one.
    pub(crate) fn end_at_once_on_the_next(mut self) {
        self.parent = None;
        tokio::spawn(async move {
            if let (name, Some(number)) = self.next().await {
                // It ends all the same when nobody can be told.
                let _ = writeln!(
                    io::stderr(),
                    "error: a second signal ({name}) ended the process at once"
                );
                std::process::exit(128 + number);
            }
        });
    }
}

/// A thread of its own, as reads of standard input cannot be cancelled: the runtime would wait for one on its threads.
fn watch_stdin() -> io::Result<Receiver<()>> {
    let (ended, receiver) = oneshot::channel();
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut ignored = [0; 256];
        let mut stdin = io::stdin().lock();
        loop {
            match stdin.read(&mut ignored) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        // Nobody waits any more when the process ends already.
        let _ = ended.send(());
    })?;
    Ok(receiver)
}
