//! The rules, one file per operation. Writes work on a [`Stage`], reads on any view.

mod append;
mod chain;
mod create;
mod delete;
mod expire;
mod fork;
mod head;
mod list;
mod read;
mod remote;
mod touch;

use crate::command::{Applied, Batch, Change, Command, Op, Outcome};
use crate::error::StorageError;
use crate::rows::{Mutations, Rows};
use crate::stage::Stage;

pub(crate) use head::head;
pub(crate) use list::list;
pub(crate) use read::{fetch, inherited, read};

/// Why an operation ended early: the rules refuse it, or the store failed.
pub(crate) enum Stop<E> {
    /// The answer to the client.
    Refused(E),
    /// The end of the whole batch.
    Storage(StorageError),
}

impl<E> From<StorageError> for Stop<E> {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Runs a batch over `view` and returns what it answers, and what to commit before that may be told.
///
/// # Errors
/// [`StorageError`] when the view could not be read.
pub(crate) fn run<R: Rows>(view: &R, batch: Batch) -> Result<(Applied, Mutations), StorageError> {
    let mut stage = Stage::new(view);
    let mut outcomes = Vec::with_capacity(batch.commands.len());
    for command in batch.commands {
        outcomes.push(step(&mut stage, command)?);
    }
    let (mut mutations, changes): (Mutations, Vec<Change>) = stage.finish();
    mutations.applied = batch.applied;
    Ok((Applied { outcomes, changes }, mutations))
}

fn step<R: Rows>(stage: &mut Stage<'_, R>, command: Command) -> Result<Outcome, StorageError> {
    let at = command.at;
    Ok(match command.op {
        Op::Create(name, create) => Outcome::Create(settle(create::create(stage, &name, create, None, at))?),
        Op::Fork(name, create, given) => {
            Outcome::Create(settle(create::create(stage, &name, create, Some(given), at))?)
        }
        Op::Append(name, append) => Outcome::Append(settle(append::append(stage, &name, append, at))?),
        Op::Delete(name) => Outcome::Delete(settle(delete::delete(stage, &name, at))?),
        Op::Touch(name) => {
            touch::touch(stage, &name, at)?;
            Outcome::Touch
        }
        Op::Expire { cutoff, limit } => Outcome::Expire(expire::expire(stage, cutoff, limit)?),
        Op::Retain(retain) => Outcome::Retain(settle(remote::retain(stage, retain, at))?),
        Op::Release(reference) => {
            remote::release(stage, reference)?;
            Outcome::Release
        }
        Op::Settle { fork_id } => {
            stage.settle(fork_id);
            Outcome::Settle
        }
        Op::Probe(reference) => Outcome::Probe(remote::probe(stage, &reference, at)?),
    })
}

/// A refusal is an outcome; a failure of the store is not.
fn settle<T, E>(result: Result<T, Stop<E>>) -> Result<Result<T, E>, StorageError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Refused(error)) => Ok(Err(error)),
        Err(Stop::Storage(error)) => Err(error),
    }
}
