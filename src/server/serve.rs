//! `weir serve`: a node of a cluster.

use std::io;

use clap::Args;

use crate::config::{Config, ConfigArgs, Mode};
use crate::run::{self, RunError};
use crate::signals::Parent;

/// The configuration, and who started it.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// End gracefully when standard input ends
    #[arg(long, hide = true)]
    end_with_stdin: bool,
}

/// The flag of [`ServeArgs`] that ties a child to its parent.
pub(crate) const END_WITH_STDIN: &str = "--end-with-stdin";

impl ServeArgs {
    /// Serves until it is asked to end or the storage fails.
    ///
    /// # Errors
    /// See [`RunError`].
    pub(crate) async fn run(&self, config: &Config) -> Result<(), RunError> {
        let parent = if self.end_with_stdin {
            Parent::HoldsStdin
        } else {
            Parent::Any
        };
        run::serve(config, Mode::Serve, parent, |bound| {
            // A closed stdout is no reason not to serve.
            let _ = run::announce(&mut io::stdout().lock(), bound);
        })
        .await
    }
}
