//! The command line.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::bench::{BenchArgs, BenchError};
use crate::client::{ClientError, StreamArgs};
use crate::cluster::ClusterArgs;
use crate::config::{self, ConfigArgs, ConfigError};
use crate::dev::{DevArgs, DevError};
use crate::exit::Exit;
use crate::run::RunError;
use crate::serve::ServeArgs;

/// Durable Streams on one node or many.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server on this machine, and say what to try next; with --nodes, several
    Dev(DevArgs),
    /// Start a node of a cluster; with --join, add it to one that is there
    Serve(ServeArgs),
    /// See and change a cluster
    Cluster(ClusterArgs),
    /// Print the effective configuration
    Config(PrintArgs),
    /// Work with streams on a running server
    Stream(StreamArgs),
    /// Measure a running server, by a load like that of many clients
    Bench(BenchArgs),
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
                let (config, _) = args.config.load()?;
                on(Builder::new_multi_thread(), |runtime| {
                    runtime.block_on(args.run(&config))
                })?;
            }
            Command::Serve(args) => {
                let (config, _) = args.config.load()?;
                on(Builder::new_multi_thread(), |runtime| {
                    runtime.block_on(args.run(&config))
                })?;
            }
            Command::Cluster(args) => on(Builder::new_current_thread(), |runtime| runtime.block_on(args.run()))?,
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
            Command::Bench(args) => args.run()?,
        }
        Ok(())
    }
}

fn on<T, E: Into<Failure>>(mut builder: Builder, work: impl FnOnce(&Runtime) -> Result<T, E>) -> Result<T, Failure> {
    let runtime = builder.enable_all().build().map_err(|cause| Failure {
        text: format!("the runtime cannot be started: {cause}"),
        code: Exit::Failed as u8,
    })?;
    let outcome = work(&runtime);
    runtime.shutdown_timeout(RUNTIME_END_TIMEOUT);
    outcome.map_err(Into::into)
}

/// Why the process ends with another code than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// Prints it, and gives the code. Whoever closed the pipe that we print to has seen enough, which is no failure.
    pub(crate) fn report(self) -> ExitCode {
        if self.code != Exit::Done as u8 {
            // Nobody is left to be told when stderr is gone.
            let _ = writeln!(io::stderr(), "error: {}", self.text);
        }
        self.code.into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            text: error.to_string(),
            code: Exit::Usage as u8,
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self {
            text: error.to_string(),
            code: error.exit() as u8,
        }
    }
}

impl From<DevError> for Failure {
    fn from(error: DevError) -> Self {
        match error {
            DevError::One(error) => error.into(),
            DevError::Many(error) => Self {
                text: error.to_string(),
                code: error.exit(),
            },
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self {
            text: error.to_string(),
            code: error.exit() as u8,
        }
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        Self {
            text: error.to_string(),
            code: error.exit() as u8,
        }
    }
}
