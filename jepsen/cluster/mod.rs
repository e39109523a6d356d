//! Real `weir serve` processes, where they run and what they run on.
//!
//! | file | what it holds |
//! |---|---|
//! | `sandbox` | the namespaces that take everything with them when they end |
//! | `scratch` | the run's folder, and the removal of what dead runs left |
//! | `disk` | a node's own file system on a loop device |
//! | `node` | a process: started, killed, stopped, ended |
//! | `binary` | which program runs |
//! | `admin` | the admin API |
//! | `command` | programs that do something for us |
//! | `error` | what goes wrong in the harness itself |

pub(crate) mod admin;
pub(crate) mod binary;
pub(crate) mod command;
pub(crate) mod disk;
pub(crate) mod error;
pub(crate) mod node;
pub(crate) mod sandbox;
pub(crate) mod scratch;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

pub use error::Error;

use crate::net::proxy::{self, Pids};
use crate::net::switch::Switch;
use crate::net::{CLIENTS, Rules, wire};
use admin::{Admin, Group, Member};
use disk::Disk;
use node::{Addresses, Ended, Launch, Node};

/// How long a cluster may take to form, on a busy machine.
const FORM_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the nodes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Each in a network namespace and on a disk of its own.
    Namespaces,
    /// On loopback, behind proxies.
    Loopback,
}

impl Place {
    /// Its name in a history.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Loopback => "loopback",
        }
    }
}

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Where it runs.
    pub(crate) place: Place,
    /// The run's folder.
    pub(crate) scratch: PathBuf,
    /// Where the logs go.
    pub(crate) logs: PathBuf,
    /// The program.
    pub(crate) binary: PathBuf,
    /// How many nodes form it.
    pub(crate) nodes: u32,
    /// How many more may join later.
    pub(crate) spares: u32,
    /// How many groups it has.
    pub(crate) groups: u32,
    /// Further flags for all nodes.
    pub(crate) flags: Vec<String>,
    /// Further variables for all nodes.
    pub(crate) variables: Vec<(String, String)>,
    /// The library that makes clocks wrong, if they are to be.
    pub(crate) faketime: Option<PathBuf>,
    /// Whether nodes in namespaces get a disk of their own.
    pub(crate) has_disks: bool,
    /// Of everything random in the network.
    pub(crate) seed: u64,
}

/// A running cluster. Dropping it kills its processes.
pub(crate) struct Cluster {
    /// The network's faults.
    pub(crate) rules: Rules,
    nodes: Vec<Node>,
    members: u32,
    pids: Pids,
    _switch: Option<Switch>,
}

impl Cluster {
    /// Starts all nodes but the spare ones and waits until they serve.
    ///
    /// # Errors
    /// When something that it needs is not there, or it does not form in time.
    pub(crate) async fn start(setup: &Setup) -> Result<Self, Error> {
        let rules = Rules::new(setup.seed);
        std::fs::create_dir_all(&setup.logs).map_err(Error::io(setup.logs.display()))?;
        let count = setup.nodes + setup.spares;
        let switch = match setup.place {
            Place::Namespaces => Some(wire::join(&setup.scratch, count as usize, &rules).await?),
            Place::Loopback => None,
        };
        let mut cluster = Self {
            rules,
            nodes: Vec::new(),
            members: setup.nodes,
            pids: Pids::default(),
            _switch: switch,
        };
        for id in 1..=count {
            let node = cluster.make(setup, id).await?;
            cluster.nodes.push(node);
        }
        let founders: Vec<String> = cluster
            .members()
            .map(|node| node.addresses.advertised.to_string())
            .collect();
        let founders = founders.join(",");
        for node in &mut cluster.nodes {
            let how = if node.id <= setup.nodes { "--nodes" } else { "--join" };
            node.add_flags(&[how.to_owned(), founders.clone()]);
        }
        for node in cluster.members() {
            cluster.start_node(node.id).await?;
        }
        cluster.wait_settled(FORM_TIMEOUT).await?;
        Ok(cluster)
    }

    async fn make(&self, setup: &Setup, id: u32) -> Result<Node, Error> {
        let log = setup.logs.join(format!("n{id}.log"));
        let mut launch = Launch {
            binary: setup.binary.clone(),
            flags: setup.flags.clone(),
            variables: setup.variables.clone(),
            namespace: None,
        };
        launch.flags.extend(["--groups".to_owned(), setup.groups.to_string()]);
        let mut clock = None;
        if let Some(library) = &setup.faketime {
            let file = setup.scratch.join(format!("n{id}.clock"));
            std::fs::write(&file, "+0").map_err(Error::io(file.display()))?;
            launch.variables.extend(faketime_variables(library, &file));
            clock = Some(file);
        }
        let folder = setup.scratch.join(format!("n{id}"));
        let mut node = match setup.place {
            Place::Namespaces => {
                let disk = match setup.has_disks {
                    true => Some(Disk::make(&setup.scratch, id).await?),
                    false => None,
                };
                launch.namespace = Some(wire::namespace(&setup.scratch, id as usize));
                let address = |port| SocketAddr::from((wire::address(id as usize), port));
                let addresses = Addresses {
                    client: address(4437),
                    admin: address(4439),
                    peer: address(4436),
                    advertised: address(4436),
                };
                let mut node = Node::new(id, addresses, launch, &folder, log);
                node.disk = disk;
                node
            }
            Place::Loopback => {
                std::fs::create_dir_all(&folder).map_err(Error::io(folder.display()))?;
                let addresses = self.behind_proxy(id as usize).await?;
                Node::new(id, addresses, launch, &folder, log)
            }
        };
        node.clock = clock;
        Ok(node)
    }

    /// Free ports, and a proxy before that of the peers.
    async fn behind_proxy(&self, id: usize) -> Result<Addresses, Error> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let mut free = Vec::new();
        for _ in 0..3 {
            free.push(bind().await.map_err(Error::io("a free port"))?);
        }
        let address = |listener: &TcpListener| listener.local_addr().map_err(Error::io("a free port"));
        let (client, admin, peer) = (address(&free[0])?, address(&free[1])?, address(&free[2])?);
        let front = bind().await.map_err(Error::io("a free port"))?;
        let advertised = address(&front)?;
        tokio::spawn(proxy::serve(
            front,
            id,
            peer,
            self.rules.clone(),
            Arc::clone(&self.pids),
        ));
        Ok(Addresses {
            client,
            admin,
            peer,
            advertised,
        })
    }

    /// The nodes that formed it.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.id <= self.members)
    }

    /// All nodes, the spare ones too.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many nodes formed it.
    pub(crate) const fn size(&self) -> u32 {
        self.members
    }

    /// A node by its number.
    pub(crate) fn node(&self, id: u32) -> &Node {
        &self.nodes[id as usize - 1]
    }

    /// The admin API of a node.
    pub(crate) fn admin(&self, id: u32) -> Admin {
        Admin::new(self.node(id).addresses.admin)
    }

    /// The cluster as some node that answers sees it.
    ///
    /// # Errors
    /// When none answers.
    pub(crate) async fn view(&self) -> Result<View, Error> {
        self.view_of_others(&[]).await
    }

    /// The cluster as some node that answers sees it, but for these: one with old or damaged files may know nothing new.
    ///
    /// # Errors
    /// When none answers.
    pub(crate) async fn view_of_others(&self, but: &[u32]) -> Result<View, Error> {
        let mut last = Error::state("there are no nodes");
        for node in self.nodes.iter().filter(|node| !but.contains(&node.id)) {
            if node.hold().await.is_up() {
                match View::of(&self.admin(node.id), &self.nodes).await {
                    Ok(view) => return Ok(view),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    /// Starts a node unless it runs.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) async fn start_node(&self, id: u32) -> Result<(), Error> {
        let mut held = self.node(id).hold().await;
        held.start()?;
        if let Some(pid) = held.pid() {
            let mut pids: std::sync::MutexGuard<'_, BTreeMap<u32, usize>> =
                self.pids.lock().unwrap_or_else(PoisonError::into_inner);
            pids.insert(pid, id as usize);
        }
        Ok(())
    }

    /// Undoes whatever was done to a node, in the order in which it can be undone, and starts it.
    ///
    /// # Errors
    /// When something cannot be undone.
    pub(crate) async fn restore(&self, id: u32) -> Result<(), Error> {
        self.rules.heal_end(id as usize);
        {
            let mut held = self.node(id).hold().await;
            if held.is_paused() {
                held.resume()?;
            }
            if let Some(disk) = &held.node().disk {
                disk.empty()?;
            }
        }
        self.start_node(id).await
    }

    /// Waits until every running member has its replicas, and every group a leader and nothing to move.
    ///
    /// # Errors
    /// What is missing, when it takes longer than `limit`.
    pub(crate) async fn wait_settled(&self, limit: Duration) -> Result<Duration, Error> {
        let began = Instant::now();
        loop {
            let missing = match self.what_is_missing().await {
                None => return Ok(began.elapsed()),
                Some(missing) => missing,
            };
            if began.elapsed() > limit {
                return Err(Error::state(format!(
                    "the cluster has not settled within {limit:?}: {missing}"
                )));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn what_is_missing(&self) -> Option<String> {
        for node in self.members() {
            if let Err(error) = self.admin(node.id).ready().await {
                return Some(format!("{} is not ready: {error}", node.name()));
            }
        }
        match self.admin(1).status().await {
            Ok(status) if status.settled => None,
            Ok(status) => Some(format!(
                "groups without leader {:?}, {} moves",
                status.groups_without_leader, status.moves
            )),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Which processes ended though nobody here ended them.
    pub(crate) async fn take_ends(&self) -> Vec<Ended> {
        let mut ends = Vec::new();
        for node in &self.nodes {
            ends.extend(node.hold().await.take_ends());
        }
        ends
    }

    /// Kills all processes.
    ///
    /// # Errors
    /// When one does not go.
    pub(crate) async fn kill_all(&self) -> Result<(), Error> {
        for node in &self.nodes {
            node.hold().await.kill().await?;
        }
        Ok(())
    }
}

/// What one node knows of the cluster, with our numbers.
pub(crate) struct View {
    /// The groups.
    pub(crate) groups: Vec<Group>,
    /// Its nodes, those that are gone too.
    pub(crate) members: Vec<Member>,
    /// Which member leads the control plane.
    pub(crate) meta_leader: Option<u64>,
    /// Whether there is nothing to move, and every group is led.
    pub(crate) settled: bool,
    /// Our numbers of all members, those that are gone too.
    all: BTreeMap<u64, u32>,
    numbers: BTreeMap<u64, u32>,
}

impl View {
    async fn of(admin: &Admin, nodes: &[Node]) -> Result<Self, Error> {
        let status = admin.status().await?;
        let groups = admin.groups().await?;
        let number = |address: &str| nodes.iter().find(|node| node.addresses.admin.to_string() == address);
        let all = status
            .nodes
            .iter()
            .filter_map(|member| Some((member.id, number(&member.admin_address)?.id)));
        let all: BTreeMap<u64, u32> = all.collect();
        // Of two members with one address the later one is there.
        let numbers = status
            .nodes
            .iter()
            .filter(|member| member.state != "removed" && member.state != "lost")
            .filter_map(|member| Some((member.id, *all.get(&member.id)?)));
        let numbers = numbers.collect();
        Ok(Self {
            groups,
            numbers,
            all,
            meta_leader: status.meta_leader,
            settled: status.settled,
            members: status.nodes,
        })
    }

    /// The members that a node of ours is or was, but for those that were removed for ever.
    pub(crate) fn members_of(&self, id: u32) -> impl DoubleEndedIterator<Item = &Member> {
        let is_it = move |member: &&Member| self.all.get(&member.id) == Some(&id) && member.state != "removed";
        self.members.iter().filter(is_it)
    }

    /// The groups of which a member has a replica.
    pub(crate) fn groups_on(&self, member: u64) -> impl Iterator<Item = &Group> {
        let hosts = move |group: &&Group| group.replicas.iter().any(|replica| replica.node == member);
        self.groups.iter().filter(hosts)
    }

    /// Our number of a node of the cluster.
    pub(crate) fn number(&self, member: u64) -> Option<u32> {
        self.numbers.get(&member).copied()
    }

    /// Our numbers of the nodes that lead, once for each group.
    pub(crate) fn leaders(&self) -> impl Iterator<Item = u32> {
        self.groups.iter().filter_map(|group| self.number(group.leader_node?))
    }

    /// The sum of all groups' terms: it grows with every election.
    pub(crate) fn terms(&self) -> u64 {
        self.groups.iter().map(|group| group.term).sum()
    }
}

/// What makes a process's wall clock wrong by what the file says, and leaves the monotonic one alone.
fn faketime_variables(library: &Path, file: &Path) -> Vec<(String, String)> {
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The link ends of two nodes, or of a node and the clients.
pub(crate) fn link_name(from: usize, to: usize) -> String {
    let name = |end| match end {
        CLIENTS => "clients".to_owned(),
        node => format!("n{node}"),
    };
    format!("{}>{}", name(from), name(to))
}
