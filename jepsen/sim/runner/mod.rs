//! The commands, and seeds in processes of their own.
//!
//! | file | what it holds |
//! |---|---|
//! | `report` | what a seed's process says of its run |
//! | `child` | a seed in a process of its own |
//! | `pool` | some of them at a time |
//! | `one`, `many`, `twice`, `regressions` | the commands |
//! | `tally` | what many seeds did together |

mod child;
mod many;
mod one;
mod pool;
mod regressions;
mod report;
mod tally;
mod twice;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use child::Child;
pub use many::{ManyOptions, many};
pub use one::RunOptions;
pub use regressions::{RegressionsOptions, seeds as regressions};
pub use report::Report;
pub use tally::Tally;
pub use twice::{Difference, TwiceOptions, twice};

/// Why a command cannot do its work.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no process for a seed.
    #[error("seed {seed} has no process: {source}")]
    Process {
        /// The seed.
        seed: u64,
        /// Why.
        source: io::Error,
    },
}

impl RunnerError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Time on the machine's clock. The standard library's stands still in this program, also where nothing is simulated.
fn elapsed() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), nanos)
}

/// The command that repeats a seed.
#[must_use]
pub fn command(seed: u64, lying_disks: bool) -> String {
    let planted = if lying_disks { " --lying-disks" } else { "" };
    format!("cargo run -p weir-sim -- run {seed}{planted}")
}
