//! Several nodes, each a process of its own, and this one to watch them.

use std::io::{self, Write};
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::client::say;
use crate::config::{Config, ConfigArgs, ConfigError};
use crate::exit::Exit;
use crate::signals::{Parent, Signals};

use super::child::{Announced, Event, Node};
use super::plan::{NodePlan, plan};
use super::turns::take_turns;

/// What the nodes may take to end beyond their `drain_timeout`: what each allows itself, and some more.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// Why several nodes did not run until they were asked to end.
#[derive(Debug, Error)]
pub(crate) enum ManyError {
    /// A flag that would give all nodes the same address.
    #[error("--{0} cannot be used with --nodes: every node has addresses of its own; --base-port moves them")]
    OwnFlag(String),
    /// What a node would refuse.
    #[error(transparent)]
    Config(#[from] Box<ConfigError>),
    /// The signal handlers could not be installed.
    #[error("the process could not be set up: {0}")]
    Setup(io::Error),
    /// A process could not be started.
    #[error("node {number} could not be started: {cause}")]
    Start {
        /// Which one.
        number: usize,
        /// Why.
        cause: io::Error,
    },
    /// A node ended before all were ready.
    #[error("node {number} ended before all nodes were ready ({how}); its last line above says why")]
    NotReady {
        /// Which one.
        number: usize,
        /// With which code.
        exit: Exit,
        /// Its status, for people.
        how: String,
    },
    /// Nothing is left.
    #[error("all nodes have ended")]
    NoneLeft,
    /// A node did not end as it should.
    #[error("the graceful end failed: {0}")]
    Ungraceful(String),
    /// A second signal.
    #[error("a second signal ({name}) ended all nodes at once")]
    Impatient {
        /// Its name.
        name: &'static str,
        /// Its number.
        number: i32,
    },
}

impl ManyError {
    /// The code to exit with.
    pub(crate) fn exit(&self) -> u8 {
        let exit = match self {
            Self::OwnFlag(_) | Self::Config(_) => Exit::Usage,
            Self::Setup(_) | Self::Start { .. } | Self::NoneLeft => Exit::Failed,
            Self::NotReady { exit, .. } => *exit,
            Self::Ungraceful(_) => Exit::Shutdown,
            Self::Impatient { number, .. } => return u8::try_from(128 + number).unwrap_or(Exit::Failed as u8),
        };
        exit as u8
    }
}

/// Runs `count` nodes until a signal comes or none is left.
///
/// # Errors
/// See [`ManyError`].
pub(super) async fn run(config: &Config, given: &ConfigArgs, count: u16, base_port: u16) -> Result<(), ManyError> {
    let plans = plan(config, given, count, base_port)?;
    let mut signals = Signals::install(Parent::Any).map_err(ManyError::Setup)?;
    take_turns();
    let mut family = Family::start(plans)?;
    let outcome = tokio::select! {
        outcome = family.watch(config) => outcome,
        (signal, _) = signals.next() => {
            say(format_args!("weir: {signal}: ending all nodes"));
            Ok(())
        }
    };
    let ended = family.end(config.drain_timeout + END_TIMEOUT, &mut signals).await;
    outcome.and(ended)
}

/// All nodes, and the news of them.
struct Family {
    plans: Vec<NodePlan>,
    nodes: Vec<Node>,
    events: UnboundedReceiver<Event>,
}

impl Family {
    fn start(plans: Vec<NodePlan>) -> Result<Self, ManyError> {
        let (sender, events) = unbounded_channel();
        let start = |(number, plan)| {
            Node::start(number, plan, sender.clone()).map_err(|cause| ManyError::Start { number, cause })
        };
        let nodes = (1..).zip(&plans).map(start).collect::<Result<_, _>>()?;
        Ok(Self { plans, nodes, events })
    }

    /// Tells when all are ready, and of each that ends without being asked to.
    async fn watch(&mut self, config: &Config) -> Result<(), ManyError> {
        let mut ready: Vec<Option<Announced>> = vec![None; self.nodes.len()];
        let mut all_ready = false;
        while let Some(event) = self.events.recv().await {
            match event {
                Event::Ready(number, announced) => {
                    ready[number - 1] = Some(announced);
                    if let Some(all) = ready.iter().cloned().collect::<Option<Vec<_>>>() {
                        all_ready = true;
                        // A closed stdout is no reason to end.
                        let _ = announce(&mut io::stdout().lock(), config, &all);
                    }
                }
                Event::Ended(number, status) => {
                    self.nodes[number - 1].ended();
                    let how = describe(&status);
                    if !all_ready {
                        let code = status.ok().and_then(|status| status.code());
                        let exit = code.map_or(Exit::Failed, Exit::from_code);
                        return Err(ManyError::NotReady { number, exit, how });
                    }
                    let command = self.plans[number - 1].command();
                    say(format_args!(
                        "weir: node {number} ended ({how}); to start it again:\n  {command}"
                    ));
                    if !self.nodes.iter().any(Node::runs) {
                        return Err(ManyError::NoneLeft);
                    }
                }
            }
        }
        Err(ManyError::NoneLeft)
    }

    /// Ends all that still run: gracefully, or at once when that takes too long or another signal comes.
    async fn end(&mut self, bound: Duration, signals: &mut Signals) -> Result<(), ManyError> {
        let deadline = Instant::now() + bound;
        self.nodes.iter_mut().for_each(Node::end);
        let mut failures = Vec::new();
        while self.nodes.iter().any(Node::runs) {
            let event = tokio::select! {
                event = timeout_at(deadline, self.events.recv()) => event,
                (name, number) = signals.next() => {
                    self.nodes.iter().for_each(Node::kill);
                    return Err(ManyError::Impatient { name, number: number.unwrap_or_default() });
                }
            };
            match event {
                Ok(Some(Event::Ended(number, status))) => {
                    self.nodes[number - 1].ended();
                    if !matches!(&status, Ok(status) if status.success()) {
                        failures.push(format!("node {number} ended with {}", describe(&status)));
                    }
                }
                Ok(Some(Event::Ready(..))) => {}
                Ok(None) => break,
                Err(_) => {
                    self.nodes.iter().for_each(Node::kill);
                    failures.push(format!("it took longer than {bound:?} and was cut short"));
                    break;
                }
            }
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(ManyError::Ungraceful(failures.join("; "))),
        }
    }
}

fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(cause) => format!("unknown: {cause}"),
    }
}

/// Two lines for each node are for programs too; the rest is for people.
fn announce(out: &mut impl Write, config: &Config, nodes: &[Announced]) -> io::Result<()> {
    for node in nodes {
        writeln!(out, "weir: listening on {}", node.client)?;
        writeln!(out, "weir: admin on {}", node.admin)?;
    }
    writeln!(out, "Streams are kept in {}/node-*.", config.data_dir.display())?;
    if let Some(first) = nodes.first() {
        writeln!(
            out,
            "
Try in another terminal, with any of the nodes:
  weir cluster status --admin-url {}
  curl -i -X PUT -H 'Content-Type: text/plain' --data 'hello, stream' {}/v1/stream/hello",
            first.admin, first.client
        )?;
    }
    if let Some(last) = nodes.last() {
        writeln!(out, "  curl '{}/v1/stream/hello?offset=-1'", last.client)?;
    }
    writeln!(out, "\nCtrl-C ends all of them.")?;
    out.flush()
}
