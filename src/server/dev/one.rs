//! One node on this machine: a cluster of one, which can grow.

use std::io::{self, Write};

use crate::config::{Bound, Config, Mode, Storage};
use crate::run::{self, RunError};
use crate::signals::Parent;

/// Serves until a signal comes or the storage fails.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn run(config: &Config) -> Result<(), RunError> {
    run::serve(config, Mode::Dev, Parent::Any, |bound| {
        // A closed stdout is no reason not to serve.
        let _ = announce(&mut io::stdout().lock(), config, bound);
    })
    .await
}

/// The first two lines are for programs too; the rest is for people.
fn announce(out: &mut impl Write, config: &Config, bound: &Bound) -> io::Result<()> {
    run::announce(out, bound)?;
    let url = format!("http://{}", bound.client);
    match config.storage {
        Storage::Memory => writeln!(out, "Streams are kept in memory and gone when this process ends.")?,
        Storage::File | Storage::Redb => writeln!(out, "Streams are kept in {}.", config.data_dir.display())?,
    }
    let stream = format!("{url}/v1/stream/hello");
    writeln!(
        out,
        "
Try in another terminal:
  curl -i -X PUT -H 'Content-Type: text/plain' {stream}
  curl -i -X POST -H 'Content-Type: text/plain' --data 'hello, stream' {stream}
  curl '{stream}?offset=-1'
  curl -N '{stream}?offset=-1&live=sse'
  curl http://{}/metrics

Ctrl-C ends it.",
        bound.admin
    )?;
    out.flush()
}
