//! One seed in this process.

use std::rc::Rc;

use rand::SeedableRng as _;

use crate::plan::Plan;
use crate::script::Script;
use crate::trace;
use crate::world::{Outcome, World};

/// A seed's run.
#[derive(Debug, Default)]
pub struct Ran {
    /// How it went.
    pub outcome: Outcome,
    /// What happened, if it was asked for.
    pub trace: String,
    /// A hash of what happened.
    pub hash: u64,
}

/// What to keep of a run.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// The trace as text.
    pub trace: bool,
    /// Print the trace while it goes on.
    pub echo: bool,
    /// How much of the nodes' logs the trace has.
    pub level: tracing::Level,
    /// Whether the disks lie: a planted bug, to see that it is found.
    pub lying_disks: bool,
}

/// Runs a seed. Only one can be run in a process: randomness and clocks are the process's.
#[must_use]
pub fn run(seed: u64, keep: Keep) -> Ran {
    mad_turmoil::rand::set_rng(rand::rngs::StdRng::seed_from_u64(seed));
    crate::panics::watch();
    // A new thread, because what this one has drawn of randomness until now is not the seed's.
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(move || {
        fastrand::seed(seed);
        let _clocks = mad_turmoil::time::SimClocksGuard::init();
        // One that is there already is a caller's affair.
        let _ = tracing::subscriber::set_global_default(trace::Logs::new(keep.level));
        trace::begin(keep.trace, keep.echo);
        let plan = Plan::of(seed);
        trace::line(&format!("{plan:?}"));
        let outcome = match Script::new(plan.clone()) {
            Ok(script) => {
                let world = World::new(plan, Rc::new(script));
                if keep.lying_disks {
                    world.plant_lying_disks();
                }
                world.run()
            }
            Err(error) => Outcome {
                violation: Some(format!("there is no history: {error}")),
                ..Outcome::default()
            },
        };
        trace::line(&format!("ended {:?} {:?}", outcome.violation, outcome.counts));
        let (trace, hash) = trace::end();
        Ran { outcome, trace, hash }
    });
    let failed = |what: &str| Ran {
        outcome: Outcome {
            violation: Some(format!("{what}: {}", crate::panics::take().unwrap_or_default())),
            ..Outcome::default()
        },
        ..Ran::default()
    };
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(ran)) => ran,
        Ok(Err(_)) => failed("the simulation panicked"),
        Err(_) => failed("no thread"),
    }
}
