//! `weir cluster`: seeing and changing a cluster over its admin API.
//!
//! | file | what it holds |
//! |---|---|
//! | `api` | the answers, as far as they are used here |
//! | `show` | `status`, `nodes`, `groups`, and how to add a node |
//! | `orders` | `transfer`, `move`, `decommission`, `activate`, `remove`, `replace` |
//! | `hash` | `groups --hash`: whether replicas hold the same |
//! | `wait` | `--wait` |
//! | `table` | columns |

mod api;
mod hash;
mod orders;
mod show;
mod table;
mod wait;

use clap::{Args, Subcommand};

use crate::client::{Client, ClientError};

use orders::{MoveArgs, NodeArgs, ReplaceArgs, TransferArgs, WaitNodeArgs};
use show::{GroupsArgs, StatusArgs};

const DEFAULT_ADMIN_URL: &str = "http://127.0.0.1:4439";

/// `weir cluster ...`.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// The admin address of any node
    #[arg(
        long,
        global = true,
        env = "WEIR_ADMIN_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = DEFAULT_ADMIN_URL
    )]
    admin_url: String,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Debug, Subcommand)]
enum Operation {
    /// The cluster at a glance
    Status(StatusArgs),
    /// The nodes
    Nodes,
    /// The groups: who leads them, and where their replicas are
    Groups(GroupsArgs),
    /// Say how a node is added: a new one is started with `weir serve --join`
    Add,
    /// Have another replica lead a group
    Transfer(TransferArgs),
    /// Move a replica of a group to another node
    Move(MoveArgs),
    /// Have all replicas of a node moved away, so that it can be removed
    Decommission(WaitNodeArgs),
    /// Take a decommissioned node back
    Activate(NodeArgs),
    /// Take a decommissioned node out of the cluster, for ever
    Remove(NodeArgs),
    /// Have one node take over from another one, which can be removed then
    Replace(ReplaceArgs),
}

impl ClusterArgs {
    /// Does it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(crate) async fn run(&self) -> Result<(), ClientError> {
        // An empty variable counts as absent.
        let url = if self.admin_url.is_empty() {
            DEFAULT_ADMIN_URL
        } else {
            &self.admin_url
        };
        let client = Client::new(url)?;
        let (client, json) = (&client, self.json);
        match &self.operation {
            Operation::Status(args) => show::status(client, args, json).await,
            Operation::Nodes => show::nodes(client, json).await,
            Operation::Groups(args) if args.hash => hash::compare(client, json).await,
            Operation::Groups(_) => show::groups(client, json).await,
            Operation::Add => show::add(client, json).await,
            Operation::Transfer(args) => orders::transfer(client, args, json).await,
            Operation::Move(args) => orders::move_replica(client, args, json).await,
            Operation::Decommission(args) => orders::decommission(client, args, json).await,
            Operation::Activate(args) => orders::activate(client, args, json).await,
            Operation::Remove(args) => orders::remove(client, args, json).await,
            Operation::Replace(args) => orders::replace(client, args, json).await,
        }
    }
}
