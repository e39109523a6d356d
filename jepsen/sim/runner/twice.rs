//! `sim twice`: the same seed gives the same history and the same trace, byte for byte.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Child, Report, RunnerError, command, pool};

/// Which seeds.
#[derive(Debug, Clone, Args)]
pub struct TwiceOptions {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds
    #[arg(long, default_value_t = 10)]
    count: u64,
    /// How many at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

impl TwiceOptions {
    /// Runs them, twice each.
    ///
    /// # Errors
    /// When there is no process for a seed, or no place for its files.
    pub fn run(&self) -> Result<ExitCode, RunnerError> {
        let seeds: Vec<u64> = (self.from..self.from.saturating_add(self.count)).collect();
        let differences = twice(&Child::this()?, &seeds, self.jobs)?;
        for difference in &differences {
            println!("seed {} differs: {}", difference.seed, difference.what);
            println!("  repeat: {} --trace FILE, twice", command(difference.seed, false));
        }
        println!("{} seeds twice, {} differ", self.count, differences.len());
        Ok(ExitCode::from(u8::from(!differences.is_empty())))
    }
}

/// A seed whose two runs are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The seed.
    pub seed: u64,
    /// Where they differ first.
    pub what: String,
}

/// Runs seeds twice, some at a time, and compares.
///
/// # Errors
/// When there is no process for a seed, or no place for its files.
pub fn twice(child: &Child, seeds: &[u64], jobs: usize) -> Result<Vec<Difference>, RunnerError> {
    let folder = tempfile::tempdir().map_err(RunnerError::file("a folder for the traces"))?;
    let mut differences = Vec::new();
    pool::each(
        seeds,
        jobs,
        |seed| compare(child, seed, folder.path()),
        |difference| differences.extend(difference),
    )?;
    differences.sort_by_key(|difference| difference.seed);
    Ok(differences)
}

fn compare(child: &Child, seed: u64, folder: &Path) -> Result<Option<Difference>, RunnerError> {
    let (first, second) = (
        Record::new(child, seed, folder, 1)?,
        Record::new(child, seed, folder, 2)?,
    );
    let what = differs("the history", &first.history, &second.history)
        .or_else(|| differs("the trace", &first.trace, &second.trace))
        .or_else(|| (first.report != second.report).then(|| "the report".to_owned()));
    Ok(what.map(|what| Difference { seed, what }))
}

struct Record {
    report: Report,
    history: Vec<u8>,
    trace: Vec<u8>,
}

impl Record {
    fn new(child: &Child, seed: u64, folder: &Path, run: u32) -> Result<Self, RunnerError> {
        let history = folder.join(format!("{seed}-{run}.jsonl"));
        let trace = folder.join(format!("{seed}-{run}.trace"));
        let report = child.run(seed, Some((&history, &trace)))?;
        Ok(Self {
            report,
            history: taken(history)?,
            trace: taken(trace)?,
        })
    }
}

/// A file's bytes, which then is gone: traces of many seeds are large.
fn taken(path: PathBuf) -> Result<Vec<u8>, RunnerError> {
    let bytes = std::fs::read(&path).and_then(|bytes| std::fs::remove_file(&path).map(|()| bytes));
    match bytes {
        // Its process did not get so far: the report says so.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        bytes => bytes.map_err(RunnerError::file(path)),
    }
}

/// The first line in which two texts differ.
fn differs(name: &str, one: &[u8], other: &[u8]) -> Option<String> {
    if one == other {
        return None;
    }
    let (mut ours, mut theirs) = (one.split(|byte| *byte == b'\n'), other.split(|byte| *byte == b'\n'));
    let mut line = 0_u64;
    loop {
        line += 1;
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        match (ours.next(), theirs.next()) {
            (None, None) => return Some(format!("{name} in its end")),
            (one, other) if one != other => {
                return Some(format!("{name} in line {line}: {:?} and {:?}", text(one), text(other)));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_a_difference() {
        assert_eq!(differs("it", b"a\nb\n", b"a\nb\n"), None);
        let what = differs("it", b"a\nb\n", b"a\nc\n").unwrap();
        assert!(what.starts_with("it in line 2"), "{what}");
        assert!(differs("it", b"a\n", b"a\nb").unwrap().contains("line 2"));
        assert!(differs("it", b"a", b"a\n").unwrap().contains("line 2"));
    }
}
