//! `weir dev`: one node on this machine.

use std::io::{self, Write};

use crate::config::{Config, Storage};
use crate::run::{self, Bound, RunError};

/// Serves until a signal comes or the storage fails.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn run(config: &Config) -> Result<(), RunError> {
    run::serve(config, |bound| {
        // A closed stdout is no reason not to serve.
        let _ = announce(&mut io::stdout().lock(), config, bound);
    })
    .await
}

/// The first two lines are for programs too and never change; the rest is for people.
fn announce(out: &mut impl Write, config: &Config, bound: &Bound) -> io::Result<()> {
    let url = format!("http://{}", bound.listen);
    writeln!(out, "weir: listening on {url}")?;
    writeln!(out, "weir: admin on http://{}", bound.admin_listen)?;
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
        bound.admin_listen
    )?;
    out.flush()
}
