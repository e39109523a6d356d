//! One run: a cluster, a load, faults, healing, and the end that shows what is left.
//!
//! | file | what it holds |
//! |---|---|
//! | `options` | what the command line says |
//! | `phases` | the run from start to end |
//! | `finish` | waiting until all replicas agree, and what each has then |

mod finish;
mod options;
mod phases;

use std::process::ExitCode;

pub use options::RunOptions;

pub use crate::cluster::Error;
use crate::cluster::{Place, binary, sandbox};
use crate::doctor;

/// Does a run: in a sandbox where that is possible, else on loopback.
///
/// # Errors
/// When the harness itself fails; nothing is then said about the system under test.
pub fn main(options: &RunOptions) -> Result<ExitCode, Error> {
    if let Some(scratch) = sandbox::inside() {
        return in_runtime(async { phases::run(options, Place::Namespaces, &scratch).await });
    }
    // Found or built outside, where there is a network.
    let binary = binary::find(options.binary.as_deref())?;
    match doctor::can_sandbox() {
        Ok(()) if !options.loopback => sandbox::enter(Some(&binary)),
        found => {
            if let Err(why) = found {
                eprintln!("jepsen: no namespaces here ({why}); nodes run on loopback, with fewer faults");
            }
            let scratch = sandbox::scratch_outside()?;
            in_runtime(async { phases::run(options, Place::Loopback, scratch.path()).await })
        }
    }
}

fn in_runtime(work: impl Future<Output = Result<ExitCode, Error>>) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("the runtime"))?;
    let ended = runtime.block_on(work);
    // Nothing that still runs has anything to say.
    runtime.shutdown_background();
    ended
}
