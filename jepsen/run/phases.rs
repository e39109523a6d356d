//! The run from start to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::finish;
use super::options::RunOptions;
use crate::check::{self, Verdict};
use crate::cli;
use crate::client::Tcp;
use crate::cluster::{Cluster, Error, Place, Setup, binary, sandbox};
use crate::doctor::Machine;
use crate::history::{self, CRASH, Fault, Limits, LogFile, Mark, Recorder, Run};
use crate::nemesis::{self, Kind, Stage};
use crate::workload::{Load, LoadOptions};

/// Further load after healing, to see that all works again.
const AFTERGLOW: Duration = Duration::from_secs(3);

/// How long a run that is asked to stop may take to end what it is at.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long a client waits for an answer. The server may try for 15 s, so some outcomes stay unknown here that it knows.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Crashes are numbered from here, faults from 1.
const FIRST_CRASH: u64 = 1_000_000;

/// A run, in the folder `scratch`.
///
/// # Errors
/// When the harness itself fails.
pub(super) async fn run(options: &RunOptions, place: Place, scratch: &Path) -> Result<ExitCode, Error> {
    let stop = watch_for_stop(place)?;
    let machine = match place {
        Place::Namespaces => {
            sandbox::furnish(scratch).await?;
            Machine::inside(scratch).await
        }
        Place::Loopback => Machine::outside("there are no namespaces").await,
    };
    let (kinds, skipped) = possible(&options.nemesis, &machine);
    for line in &skipped {
        eprintln!("jepsen: skipped {line}");
    }
    if kinds.is_empty() && !options.nemesis.is_empty() {
        eprintln!("jepsen: nothing is left of {}: no run", options.command());
        return Ok(ExitCode::from(cli::SKIPPED));
    }
    let store = store(options)?;
    println!("jepsen: {} -> {}", options.command(), store.display());
    let setup = setup(options, &machine, place, scratch, &store, &kinds)?;
    let recorder = Recorder::create(
        &store.join("history.jsonl"),
        &head(options, place, &setup, &kinds, skipped),
    );
    let recorder = recorder.map_err(Error::io("the history"))?;
    let cluster = unless_stopped(&stop, Cluster::start(&setup)).await?;
    let cluster = Arc::new(cluster);
    let driven = drive(options, &cluster, &recorder, &kinds, stop.clone());
    let ended = unless_stopped(&stop, driven).await;
    crashes(&cluster, &recorder).await;
    cluster.kill_all().await?;
    ended?;
    recorder.finish().map_err(Error::io("the history"))?;
    let verdict = finish::judge(&store)?;
    if verdict == Verdict::Invalid {
        finish::keep_data(&cluster, &store).await?;
    }
    Ok(cli::exit_code(verdict))
}

/// Does it, but gives up a moment after somebody asked to stop: what is being undone then goes with the sandbox.
async fn unless_stopped<T>(
    stop: &watch::Receiver<bool>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut stop = stop.clone();
    let stopped = async {
        // An error means that nobody can stop us any more: then nobody wants to.
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
        sleep(STOP_GRACE).await;
    };
    tokio::select! {
        done = work => done,
        () = stopped => Err(Error::Stopped),
    }
}

/// Records which processes ended though nobody ended them, and nothing was done to their files.
async fn crashes(cluster: &Cluster, recorder: &Recorder) {
    for (number, ended) in cluster.take_ends().await.into_iter().enumerate() {
        println!("jepsen: {ended}");
        recorder.fault(Fault {
            id: FIRST_CRASH + number as u64,
            name: CRASH.to_owned(),
            stage: history::Stage::Begin,
            targets: vec![format!("n{}", ended.node)],
            effect: Some(true),
            evidence: ended.to_string(),
        });
    }
}

/// Load, faults, healing, and what is left.
async fn drive(
    options: &RunOptions,
    cluster: &Arc<Cluster>,
    recorder: &Recorder,
    kinds: &[Kind],
    stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (end_load, load_ended) = watch::channel(false);
    let addresses: Vec<_> = cluster.members().map(|node| node.addresses.client).collect();
    let workload = options.workload;
    let load = Load::new(LoadOptions {
        recorder: recorder.clone(),
        nodes: u32::try_from(addresses.len()).unwrap_or(1),
        network: Arc::new(Tcp(addresses)),
        seed: options.seed,
        interval: Duration::from_secs_f64(f64::from(workload.clients()) / options.rate.max(1) as f64),
        request_timeout: REQUEST_TIMEOUT,
        stop: load_ended,
    });
    workload.prepare(&load).await;
    recorder.mark(Mark::Started);
    let mut clients = workload.start(&load, workload.clients());

    let deadline = Instant::now() + Duration::from_secs(options.time);
    let seed = options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut stage = Stage::new(
        Arc::clone(cluster),
        recorder.clone(),
        seed,
        stop.clone(),
        deadline,
        options.replicas(),
    );
    nemesis::run(kinds, &mut stage).await?;
    while !stage.is_over() {
        stage.rest(Duration::from_secs(1)).await;
    }
    if *stop.borrow() {
        return Err(Error::Stopped);
    }

    cluster.rules.heal();
    for node in cluster.members() {
        cluster.restore(node.id).await?;
    }
    nemesis::mend(&mut stage).await?;
    recorder.mark(Mark::Healed);
    finish::settle(cluster).await;
    sleep(AFTERGLOW).await;
    // Nobody is left to be told when all have ended already.
    let _ = end_load.send(true);
    while clients.join_next().await.is_some() {}
    finish::converge(cluster, recorder).await;
    finish::read_all(cluster, recorder, &load.streams()).await;
    Ok(())
}

/// What can be done here of what is wanted, and why the rest cannot.
fn possible(wanted: &[Kind], machine: &Machine) -> (Vec<Kind>, Vec<String>) {
    let mut kinds = Vec::new();
    let mut skipped = Vec::new();
    for kind in wanted {
        match kind.missing(machine) {
            None => kinds.push(*kind),
            Some(why) => skipped.push(format!("{}: {why}", kind.name())),
        }
    }
    (kinds, skipped)
}

fn store(options: &RunOptions) -> Result<PathBuf, Error> {
    let store = options.store.clone().unwrap_or_else(|| {
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%S");
        let what = [&[options.workload.name().to_owned()], options.nemeses().as_slice()]
            .concat()
            .join("-");
        PathBuf::from(format!("jepsen-store/{now}-{what}-{}", options.seed))
    });
    std::fs::create_dir_all(&store).map_err(Error::io(store.display()))?;
    std::fs::canonicalize(&store).map_err(Error::io(store.display()))
}

fn setup(
    options: &RunOptions,
    machine: &Machine,
    place: Place,
    scratch: &Path,
    store: &Path,
    kinds: &[Kind],
) -> Result<Setup, Error> {
    let flags = [
        "--heartbeat-interval",
        "200ms",
        "--election-timeout",
        "1s",
        "--long-poll-timeout",
        "3s",
        "--sse-max-duration",
        "10s",
        "--cache-bytes",
        "33554432",
    ];
    let mut flags = flags.map(str::to_owned).to_vec();
    flags.extend(["--replication-factor".to_owned(), options.replicas().to_string()]);
    flags.extend(options.flags());
    let mutant = options
        .mutant
        .iter()
        .map(|mutant| ("WEIR_MUTANT".to_owned(), mutant.clone()));
    Ok(Setup {
        place,
        scratch: scratch.to_owned(),
        logs: store.join("logs"),
        binary: binary::find(options.binary.as_deref())?,
        nodes: options.nodes,
        spares: u32::from(kinds.iter().any(|kind| kind.needs_spare())),
        groups: options.groups,
        flags,
        variables: mutant.collect(),
        faketime: machine.faketime_library().filter(|_| kinds.contains(&Kind::Clock)),
        has_disks: machine.disks.works(),
        seed: options.seed,
    })
}

fn head(options: &RunOptions, place: Place, setup: &Setup, kinds: &[Kind], skipped: Vec<String>) -> Run {
    let mut notes: Vec<String> = skipped.into_iter().map(|line| format!("skipped {line}")).collect();
    if place == Place::Loopback {
        notes.push("nodes ran on loopback, behind proxies that cut and delay what is between them".to_owned());
    }
    let logs = (1..=setup.nodes + setup.spares).map(|id| LogFile {
        name: format!("n{id}"),
        path: format!("logs/n{id}.log"),
    });
    Run {
        workload: options.workload.name().to_owned(),
        nemeses: kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        nodes: options.nodes,
        replication: options.replicas(),
        seed: options.seed,
        time_s: options.time,
        rate: options.rate,
        place: place.name().to_owned(),
        command: options.command(),
        began: chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        expects: expects(options),
        limits: Limits {
            clock_error_ms: clock_error_ms(options),
            ..Limits::default()
        },
        logs: logs.collect(),
        notes,
    }
}

/// The checkers that the run is for. Where some node has no replica of a group, its eventual reads are other nodes'.
fn expects(options: &RunOptions) -> Vec<String> {
    let names = check::expected(options.workload.name()).iter();
    let can_be = |name: &&&str| **name != "eventual" || options.replicas() == options.nodes;
    names.filter(can_be).map(|name| (*name).to_owned()).collect()
}

/// Two clocks may be wrong in opposite ways.
fn clock_error_ms(options: &RunOptions) -> u64 {
    match options.nemesis.contains(&Kind::Clock) {
        true => 2 * nemesis::clock::LARGEST_MS.unsigned_abs(),
        false => 0,
    }
}

/// Turns true when somebody wants the run to stop: a signal, or, in a sandbox, the end of standard input.
fn watch_for_stop(place: Place) -> Result<watch::Receiver<bool>, Error> {
    let (asked, stop) = watch::channel(false);
    let handler = |kind| signal(kind).map_err(Error::io("a signal handler"));
    let (mut interrupt, mut terminate) = (handler(SignalKind::interrupt())?, handler(SignalKind::terminate())?);
    tokio::spawn(async move {
        let parent_gone = async {
            match place {
                Place::Namespaces => {
                    let mut byte = [0];
                    while matches!(tokio::io::stdin().read(&mut byte).await, Ok(1)) {}
                }
                Place::Loopback => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = parent_gone => {}
        }
        eprintln!("jepsen: stopping");
        asked.send_replace(true);
        // The sender stays, so that nobody takes its end for something else.
        std::future::pending::<()>().await;
    });
    Ok(stop)
}
