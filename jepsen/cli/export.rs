//! `jepsen export`: a history for other tools.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{CliError, open};
use crate::history::write_edn;

/// What to export.
#[derive(Debug, Clone, Args)]
pub struct ExportOptions {
    /// A history, or a run's folder
    history: PathBuf,
    /// As EDN, in the form of Jepsen's op maps (the only form so far)
    #[arg(long, required = true)]
    edn: bool,
    /// Where to; standard output when absent
    #[arg(long)]
    out: Option<PathBuf>,
}

impl ExportOptions {
    /// Writes the history in the form asked for.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn run(&self) -> Result<ExitCode, CliError> {
        let (_, history) = open(&self.history)?;
        let (name, sink): (PathBuf, Box<dyn Write>) = match &self.out {
            Some(path) => (
                path.clone(),
                Box::new(File::create(path).map_err(CliError::write(path))?),
            ),
            None => (PathBuf::from("standard output"), Box::new(io::stdout().lock())),
        };
        let mut out = BufWriter::new(sink);
        match write_edn(&history, &mut out).and_then(|()| out.flush()) {
            // Whoever reads it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            ended => ended.map_err(CliError::write(name))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
