//! Whether the fault tests find bugs: `weir` is built with ten of them, each is made active in turn, and the run that is
//! for it has to be invalid. The same run without any has to be valid, so that what was found is not noise.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan` | which run is for which bug |
//! | `seen` | what a run's checkers say, and when the first error showed |
//! | `table` | the results, for people and for programs |

mod plan;
mod seen;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use weir_mutant::{MUTANTS, Mutant};

use crate::cluster::{Error, binary};
use crate::profile;
use plan::MutantPlan;
use seen::Seen;
use table::{Clean, Row};

/// Where the program with the bugs is built, beside the ordinary one and never in its place.
const TARGET: &str = "target/mutants";

/// Which bugs, and how often each is looked for.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 all were found and the clean runs are valid, 1 one escaped, 3 it could not be tried"
)]
pub struct MutantsOptions {
    /// Only these, with commas in between
    #[arg(long, value_delimiter = ',', value_parser = mutant)]
    only: Vec<Mutant>,
    /// How many runs, each with another seed, a bug may escape before it counts as not found
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    attempts: u64,
    /// What the seeds are counted from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave the runs without a bug away
    #[arg(long)]
    no_clean: bool,
    /// A program that was built with the bugs; cargo builds one when this is absent
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the folders of the runs and the results go
    #[arg(long)]
    store: Option<PathBuf>,
}

fn mutant(name: &str) -> Result<Mutant, String> {
    let names = || MUTANTS.map(|(_, name)| name).join(", ");
    Mutant::find(name).ok_or_else(|| format!("there are {}", names()))
}

/// Looks for every bug, and says which run found it.
///
/// # Errors
/// When the program cannot be built, or runs cannot be started at all.
pub fn main(options: &MutantsOptions) -> Result<ExitCode, Error> {
    let binary = match &options.binary {
        Some(binary) => binary::find(Some(binary))?,
        None => {
            let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(TARGET);
            binary::build(&["--features", "mutants"], Some(&target))?
        }
    };
    let store = options.store.clone().unwrap_or_else(|| {
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%S");
        PathBuf::from(format!("jepsen-store/{now}-mutants"))
    });
    std::fs::create_dir_all(&store).map_err(Error::io(store.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("the runtime"))?;
    let search = Search {
        options,
        binary: &binary,
        store: &store,
    };
    runtime.block_on(search.all())
}

struct Search<'a> {
    options: &'a MutantsOptions,
    binary: &'a Path,
    store: &'a Path,
}

impl Search<'_> {
    async fn all(&self) -> Result<ExitCode, Error> {
        let mut rows = Vec::new();
        for (mutant, _) in MUTANTS {
            if !self.options.only.is_empty() && !self.options.only.contains(&mutant) {
                continue;
            }
            rows.push(self.one(mutant).await?);
            // After each, so that a search that is cut off has told what it knows.
            table::write(self.store, &rows)?;
        }
        print!("\n{}", table::text(&rows));
        println!("results: {}", self.store.join("mutants.md").display());
        let all_well = rows.iter().all(Row::is_well);
        Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    async fn one(&self, mutant: Mutant) -> Result<Row, Error> {
        let plan = plan::of(mutant);
        let began = Instant::now();
        let mut row = Row::new(mutant, &plan);
        for attempt in 0..self.options.attempts {
            let plan = plan.with_seed(self.options.seed + attempt);
            let (seen, took) = self.run(&plan, Some(mutant)).await?;
            row.tried(&plan, &seen, took);
            println!("jepsen: {} {} after {:.0?}", mutant.name(), seen, began.elapsed());
            if row.is_caught() {
                break;
            }
        }
        if !self.options.no_clean {
            // The very run that found it, without the bug.
            let plan = plan.with_seed(row.seed());
            let (seen, took) = self.run(&plan, None).await?;
            println!("jepsen: without {} {} in {took:.0?}", mutant.name(), seen);
            row.clean = Some(Clean::new(&seen, took));
        }
        Ok(row)
    }

    async fn run(&self, plan: &MutantPlan, mutant: Option<Mutant>) -> Result<(Seen, Duration), Error> {
        let name = mutant.map_or("clean".to_owned(), |mutant| mutant.name().to_owned());
        let folder = format!("{}-{name}-{}", plan.mutant.name(), plan.run.seed);
        let folder = self.store.join(match mutant {
            Some(mutant) => format!("{}-{}", mutant.name(), plan.run.seed),
            None => folder,
        });
        let mut more = plan.settings();
        if let Some(mutant) = mutant {
            more.extend(["--mutant".to_owned(), mutant.name().to_owned()]);
        }
        let ended = profile::run(&plan.run, self.binary, &folder, &more).await?;
        Ok((Seen::of(ended.verdict(), &folder), ended.took))
    }
}
