//! Several nodes on one machine: their addresses, directories and command lines.

use crate::config::{Config, ConfigArgs, ConfigError, Mode};
use crate::serve::END_WITH_STDIN;

use super::many::ManyError;

/// More nodes would only take turns.
pub(super) const MAX_NODES: i64 = 9;

/// From one node's ports to the next one's.
const PORT_STEP: u16 = 10;

/// All ports of all nodes come after it.
pub(super) const MAX_BASE_PORT: i64 = 65_535 - 2 - (MAX_NODES - 1) * PORT_STEP as i64;

/// What every node gets a value of its own for.
const OWN_KEYS: [&str; 7] = [
    "listen",
    "admin_listen",
    "peer_listen",
    "peer_advertise",
    "client_advertise",
    "admin_advertise",
    "join",
];

/// The command line of one node, without the program and what ties it to this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodePlan {
    pub(super) args: Vec<String>,
}

impl NodePlan {
    /// The arguments for a child.
    pub(super) fn child_args(&self) -> impl Iterator<Item = &str> {
        self.args.iter().map(String::as_str).chain([END_WITH_STDIN])
    }

    /// What starts the node by itself, for a shell.
    pub(super) fn command(&self) -> String {
        let quote = |arg: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.,:/[]".contains(&byte);
            if arg.bytes().all(plain) {
                arg.clone()
            } else {
                format!("'{}'", arg.replace('\'', r"'\''"))
            }
        };
        let args: Vec<String> = self.args.iter().map(quote).collect();
        format!("weir {}", args.join(" "))
    }
}

/// All nodes, each configuration checked.
///
/// # Errors
/// For a flag that cannot be the same for all, and for what a node would refuse.
pub(super) fn plan(
    config: &Config,
    given: &ConfigArgs,
    count: u16,
    base_port: u16,
) -> Result<Vec<NodePlan>, ManyError> {
    if let Some((key, _)) = given.flags.iter().find(|(key, _)| OWN_KEYS.contains(key)) {
        return Err(ManyError::OwnFlag(key.replace('_', "-")));
    }
    let client = |index: u16| base_port + index * PORT_STEP;
    let peer = |index: u16| format!("127.0.0.1:{}", client(index) - 1);
    let nodes: Vec<String> = (0..count).map(peer).collect();
    let nodes = nodes.join(",");
    let node = |index: u16| {
        let listen = format!("127.0.0.1:{}", client(index));
        let admin = format!("127.0.0.1:{}", client(index) + 2);
        let data_dir = config.data_dir.join(format!("node-{}", index + 1));
        let own = [
            ("listen", listen.clone()),
            ("admin_listen", admin.clone()),
            ("peer_listen", peer(index)),
            ("peer_advertise", peer(index)),
            ("client_advertise", listen),
            ("admin_advertise", admin),
            ("nodes", nodes.clone()),
            ("join", String::new()),
            ("data_dir", data_dir.to_string_lossy().into_owned()),
            ("groups", config.groups(Mode::Dev).to_string()),
        ];
        let is_shared = |key: &&str| own.iter().all(|(own, _)| own != key);
        let shared = given.flags.iter().filter(|(key, _)| is_shared(key)).cloned();
        let all = ConfigArgs {
            file: given.file.clone(),
            flags: shared.chain(own.clone()).collect(),
        };
        all.load()?;
        Ok(NodePlan {
            args: command_line(&all),
        })
    };
    let plans: Result<_, ConfigError> = (0..count).map(node).collect();
    Ok(plans.map_err(Box::new)?)
}

fn command_line(config: &ConfigArgs) -> Vec<String> {
    let file = config
        .file
        .iter()
        .map(|path| format!("--config={}", path.to_string_lossy()));
    let flags = config
        .flags
        .iter()
        .map(|(key, text)| format!("--{}={text}", key.replace('_', "-")));
    std::iter::once("serve".to_owned()).chain(file).chain(flags).collect()
}
