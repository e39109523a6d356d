//! The command line.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::client::{ClientError, StreamArgs};
use crate::config::{self, ConfigArgs, ConfigError};
use crate::dev;
use crate::exit::Exit;
use crate::run::RunError;

/// Durable Streams on one node or many.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server on this machine, and say what to try next
    Dev(ConfigArgs),
    /// Print the effective configuration
    Config(PrintArgs),
    /// Work with streams on a running server
    Stream(StreamArgs),
}

#[derive(Debug, Args)]
struct PrintArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON instead of TOML
    #[arg(long)]
    json: bool,
}

/// What stays of the runtime's threads when all is done gets this long; a call into the storage may still be running.
const RUNTIME_END_TIMEOUT: Duration = Duration::from_millis(500);

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// With what to print and which code to exit with.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Dev(args) => {
                let (config, _) = args.load()?;
                on(Builder::new_multi_thread(), |runtime| {
                    runtime.block_on(dev::run(&config))
                })?;
            }
            Command::Config(args) => {
                let (_, settings) = args.config.load()?;
                let text = if args.json {
                    config::to_json(&settings)
                } else {
                    config::to_toml(&settings)
                };
                io::stdout().write_all(text.as_bytes()).map_err(ClientError::Output)?;
            }
            Command::Stream(args) => on(Builder::new_current_thread(), |runtime| runtime.block_on(args.run()))?,
        }
        Ok(())
    }
}

fn on<T, E: Into<Failure>>(mut builder: Builder, work: impl FnOnce(&Runtime) -> Result<T, E>) -> Result<T, Failure> {
    let runtime = builder.enable_all().build().map_err(|cause| Failure {
        text: format!("the runtime cannot be started: {cause}"),
        exit: Exit::Failed,
    })?;
    let outcome = work(&runtime);
    runtime.shutdown_timeout(RUNTIME_END_TIMEOUT);
    outcome.map_err(Into::into)
}

/// Why the process ends with another code than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    exit: Exit,
}

impl Failure {
    /// Prints it, and gives the code. Whoever closed the pipe that we print to has seen enough, which is no failure.
    pub(crate) fn report(self) -> ExitCode {
        if self.exit != Exit::Done {
            // Nobody is left to be told when stderr is gone.
            let _ = writeln!(io::stderr(), "error: {}", self.text);
        }
        self.exit.into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            text: error.to_string(),
            exit: Exit::Usage,
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self {
            text: error.to_string(),
            exit: error.exit(),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self {
            text: error.to_string(),
            exit: error.exit(),
        }
    }
}
