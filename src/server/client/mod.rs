//! `weir stream`: a client for people and scripts.
//!
//! | file | what it holds |
//! |---|---|
//! | `http` | one request and its answer |
//! | `error` | what can go wrong, and which code to exit with |
//! | `retry` | how long and how often to try again |
//! | `output` | messages and reports on stdout |
//! | `split` | input of any length as bounded appends |
//! | `pages` | a stream's messages page by page |
//! | `create`, `append`, `read`, `tail`, `close`, `fork`, `delete`, `list` | one file per operation |

mod append;
mod close;
mod create;
mod delete;
mod error;
mod fork;
mod http;
mod list;
mod output;
mod pages;
mod read;
mod retry;
mod split;
mod tail;

use clap::{Args, Subcommand};

pub(crate) use error::ClientError;
pub(crate) use http::Client;
pub(crate) use output::{report, say};

const DEFAULT_URL: &str = "http://127.0.0.1:4437";

/// `weir stream ...`.
#[derive(Debug, Args)]
pub(crate) struct StreamArgs {
    /// The server's address
    #[arg(
        long,
        global = true,
        env = "WEIR_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = DEFAULT_URL
    )]
    url: String,
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Debug, Subcommand)]
enum Operation {
    /// Create a stream, or confirm that it exists as described
    Create(create::CreateArgs),
    /// Append an argument, a file or standard input
    Append(append::AppendArgs),
    /// Print what a stream holds now
    Read(read::ReadArgs),
    /// Print a stream's last lines, and with -f what follows
    Tail(tail::TailArgs),
    /// Close a stream: nothing can be appended any more
    Close(close::CloseArgs),
    /// Create a stream that begins with another one's messages
    Fork(fork::ForkArgs),
    /// Delete a stream
    Delete(delete::DeleteArgs),
    /// List streams by name
    List(list::ListArgs),
}

impl StreamArgs {
    /// Does it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(crate) async fn run(&self) -> Result<(), ClientError> {
        // An empty variable counts as absent.
        let url = if self.url.is_empty() { DEFAULT_URL } else { &self.url };
        let client = Client::new(url)?;
        match &self.operation {
            Operation::Create(args) => create::run(&client, args).await,
            Operation::Append(args) => append::run(&client, args).await,
            Operation::Read(args) => read::run(&client, args).await,
            Operation::Tail(args) => tail::run(&client, args).await,
            Operation::Close(args) => close::run(&client, args).await,
            Operation::Fork(args) => fork::run(&client, args).await,
            Operation::Delete(args) => delete::run(&client, args).await,
            Operation::List(args) => list::run(&client, args).await,
        }
    }
}
