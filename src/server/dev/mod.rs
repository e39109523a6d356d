//! `weir dev`: one node on this machine, or several.
//!
//! | file | what it holds |
//! |---|---|
//! | `one` | one node in this process |
//! | `many` | several nodes, each a process of its own, and this one to watch them |
//! | `plan` | their addresses, directories and command lines |
//! | `child` | one of these processes |
//! | `turns` | how they share the machine's processors |

mod child;
mod many;
mod one;
mod plan;
mod turns;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::config::{Config, ConfigArgs};
use crate::run::RunError;

pub(crate) use many::ManyError;

/// The configuration, and how many nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct DevArgs {
    pub(crate) config: ConfigArgs,
    nodes: Option<u16>,
    base_port: u16,
}

const NODES: &str = "node_count";
const BASE_PORT: &str = "base_port";
const DEFAULT_BASE_PORT: &str = "4437";

impl Args for DevArgs {
    fn augment_args(command: Command) -> Command {
        // Here `--nodes` counts them; the addresses that the key of this name holds follow from the count.
        ConfigArgs::augment(command, |key| key != "nodes")
            .arg(
                Arg::new(NODES)
                    .long("nodes")
                    .value_name("COUNT")
                    .value_parser(value_parser!(u16).range(2..=plan::MAX_NODES))
                    .help(
                        "Start this many nodes, each a process with its own directory node-1, node-2, ... in data_dir",
                    ),
            )
            .arg(
                Arg::new(BASE_PORT)
                    .long("base-port")
                    .value_name("PORT")
                    .requires(NODES)
                    .default_value(DEFAULT_BASE_PORT)
                    .value_parser(value_parser!(u16).range(2..=plan::MAX_BASE_PORT))
                    .help(
                        "With --nodes: the first node's port for clients; peers have the one before, operators the \
                         second after, and the next node 10 more",
                    ),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DevArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = ConfigArgs::from_arg_matches(matches)?;
        self.nodes = matches.get_one(NODES).copied();
        self.base_port = matches.get_one(BASE_PORT).copied().unwrap_or_default();
        Ok(())
    }
}

/// Why it ended other than as it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    /// The one node.
    #[error(transparent)]
    One(#[from] RunError),
    /// The nodes, or this process.
    #[error(transparent)]
    Many(#[from] ManyError),
}

impl DevArgs {
    /// Serves until a signal comes or nothing is left that serves.
    ///
    /// # Errors
    /// See [`DevError`].
    pub(crate) async fn run(&self, config: &Config) -> Result<(), DevError> {
        match self.nodes {
            None => Ok(one::run(config).await?),
            Some(count) => Ok(many::run(config, &self.config, count, self.base_port).await?),
        }
    }
}
