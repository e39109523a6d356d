//! What the command line says of a run.

use std::path::PathBuf;

use clap::Args;

use crate::nemesis::Kind;
use crate::workload::Workload;

/// A run.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// What clients do
    #[arg(long, default_value = "queue")]
    pub(crate) workload: Workload,
    /// What breaks, with commas in between; nothing when absent
    #[arg(long, value_delimiter = ',')]
    pub(crate) nemesis: Vec<Kind>,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=7))]
    pub(crate) nodes: u32,
    /// How long things break, in seconds
    #[arg(long, default_value_t = 30)]
    pub(crate) time: u64,
    /// How many operations per second
    #[arg(long, default_value_t = 200)]
    pub(crate) rate: u64,
    /// How many replicas a group has; no more than nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=7))]
    pub(crate) replication: u32,
    /// What everything random is drawn from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many groups the cluster has
    #[arg(long, default_value_t = 4)]
    pub(crate) groups: u32,
    /// The program to test; the variable JEPSEN_BINARY does the same; cargo builds one when both are absent
    #[arg(long)]
    pub(crate) binary: Option<PathBuf>,
    /// Where the history, the logs and the report go
    #[arg(long)]
    pub(crate) store: Option<PathBuf>,
    /// Use loopback and proxies even where namespaces could be had
    #[arg(long)]
    pub(crate) loopback: bool,
    /// Further settings of all nodes, `KEY=VALUE` by the names that `weir config` has, with commas in between
    #[arg(long = "set", value_delimiter = ',', value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// Which planted bug is active, in a program that was built with them
    #[arg(long, hide = true)]
    pub(crate) mutant: Option<String>,
}

impl RunOptions {
    /// The command that repeats the run.
    pub(crate) fn command(&self) -> String {
        let mut command = format!("jepsen run --workload {}", self.workload.name());
        if !self.nemesis.is_empty() {
            command.push_str(&format!(" --nemesis {}", self.nemeses().join(",")));
        }
        let Self {
            nodes,
            time,
            rate,
            seed,
            groups,
            replication,
            ..
        } = self;
        command.push_str(&format!(
            " --nodes {nodes} --replication {replication} --time {time} --rate {rate} --seed {seed} --groups {groups}"
        ));
        if !self.settings.is_empty() {
            let settings: Vec<String> = self
                .settings
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            command.push_str(&format!(" --set {}", settings.join(",")));
        }
        if let Some(mutant) = &self.mutant {
            command.push_str(&format!(" --mutant {mutant}"));
        }
        command
    }

    /// The settings as flags of `weir serve`.
    pub(crate) fn flags(&self) -> impl Iterator<Item = String> {
        let flag = |(key, value): &(String, String)| [format!("--{}", key.replace('_', "-")), value.clone()];
        self.settings.iter().flat_map(flag)
    }

    /// How many replicas a group has.
    pub(crate) fn replicas(&self) -> u32 {
        self.replication.min(self.nodes)
    }

    /// The names of what breaks.
    pub(crate) fn nemeses(&self) -> Vec<String> {
        self.nemesis.iter().map(|kind| kind.name().to_owned()).collect()
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a setting is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
