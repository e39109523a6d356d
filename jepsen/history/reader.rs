//! Reading a history back, with completions joined to their invokes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use super::event::{Body, Event, Process};
use super::fault::{Fault, Mark, StateHash};
use super::op::Op;
use super::outcome::Outcome;
use super::run::Run;

/// One operation from invoke to completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The invoke's index.
    pub index: u64,
    /// The completion's index, if it has one.
    pub completion: Option<u64>,
    /// When it was invoked.
    pub invoke_ns: u64,
    /// When it completed; [`u64::MAX`] for an unknown outcome: it may still take effect.
    pub return_ns: u64,
    /// When its process stopped waiting; [`u64::MAX`] only if the history ends first.
    pub seen_ns: u64,
    /// The client thread.
    pub process: u64,
    /// The node that was asked.
    pub node: Option<u32>,
    /// What was asked.
    pub op: Op,
    /// How it ended.
    pub outcome: Outcome,
}

/// A whole history.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The settings.
    pub run: Run,
    /// Every event, as written.
    pub events: Vec<Event>,
    /// The operations, by invoke.
    pub operations: Vec<Operation>,
    /// The faults' ends: index, time, fault.
    pub faults: Vec<(u64, u64, Fault)>,
    /// The turns: index, time, mark.
    pub marks: Vec<(u64, u64, Mark)>,
    /// The state hashes: index, node, hash.
    pub hashes: Vec<(u64, u32, StateHash)>,
    /// Whether the last line was cut off (the run was killed) and left out.
    pub torn: bool,
}

/// Why a file is no history.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The file cannot be read.
    #[error("the history cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line is not what [`super`] says.
    #[error("line {line} of the history: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The events contradict the rules in [`super`].
    #[error("event {index} of the history: {reason}")]
    Event {
        /// The event's index.
        index: u64,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
struct FirstLine {
    run: Run,
}

impl History {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        Self::read(BufReader::new(File::open(path)?))
    }

    /// Reads lines. A last line without its end is left out.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn read(mut input: impl BufRead) -> Result<Self, HistoryError> {
        let (mut line, mut number, mut torn) = (Vec::new(), 0, false);
        let (mut run, mut events) = (None, Vec::new());
        while input.read_until(b'\n', &mut line)? > 0 {
            number += 1;
            let wrong = |error: serde_json::Error| HistoryError::Line {
                line: number,
                reason: error.to_string(),
            };
            if line.last() != Some(&b'\n') {
                torn = true;
            } else if run.is_none() {
                run = Some(serde_json::from_slice::<FirstLine>(&line).map_err(wrong)?.run);
            } else {
                events.push(serde_json::from_slice::<Event>(&line).map_err(wrong)?);
            }
            line.clear();
        }
        let run = run.ok_or_else(|| HistoryError::Line {
            line: 1,
            reason: "the run's settings are missing".to_owned(),
        })?;
        let mut history = Self::from_events(run, events)?;
        history.torn = torn;
        Ok(history)
    }

    /// Joins completions to invokes.
    ///
    /// # Errors
    /// [`HistoryError::Event`] if the events contradict the rules: a checker's verdict on them would mean nothing.
    pub fn from_events(run: Run, events: Vec<Event>) -> Result<Self, HistoryError> {
        let mut history = Self { run, ..Self::default() };
        let mut joiner = Joiner::default();
        for event in &events {
            joiner.take(&mut history, event).map_err(|reason| HistoryError::Event {
                index: event.index,
                reason,
            })?;
        }
        history.events = events;
        Ok(history)
    }

    /// When the history ends.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        self.events.last().map_or(0, |event| event.time_ns)
    }

    /// When `mark` was first reached.
    #[must_use]
    pub fn marked(&self, mark: Mark) -> Option<u64> {
        self.marks
            .iter()
            .find(|(_, _, m)| *m == mark)
            .map(|(_, time_ns, _)| *time_ns)
    }
}

#[derive(Default)]
struct Joiner {
    last_ns: u64,
    next_index: u64,
    /// Each process's open operation: its place in `operations`. `None`: it may not invoke any more.
    processes: HashMap<u64, Option<usize>>,
    ended: HashMap<u64, bool>,
}

impl Joiner {
    fn take(&mut self, history: &mut History, event: &Event) -> Result<(), String> {
        if event.index != self.next_index {
            return Err(format!("expected index {}", self.next_index));
        }
        self.next_index += 1;
        if event.time_ns < self.last_ns {
            return Err("time falls".to_owned());
        }
        self.last_ns = event.time_ns;
        let (index, time_ns) = (event.index, event.time_ns);
        match (&event.body, event.process) {
            (Body::Fault(fault), Process::Nemesis) => history.faults.push((index, time_ns, fault.clone())),
            (Body::Mark(mark), Process::Nemesis) => history.marks.push((index, time_ns, *mark)),
            (Body::StateHash(hash), Process::Nemesis) => {
                let node = event.node.ok_or("a state hash of no node")?;
                history.hashes.push((index, node, hash.clone()));
            }
            (Body::Invoke(op), Process::Client(process)) => {
                self.invoke(process, history.operations.len())?;
                history.operations.push(Operation {
                    index,
                    completion: None,
                    invoke_ns: time_ns,
                    return_ns: u64::MAX,
                    seen_ns: u64::MAX,
                    process,
                    node: event.node,
                    op: op.clone(),
                    outcome: Outcome::Info(None),
                });
            }
            (body @ (Body::Ok(_) | Body::Fail(_) | Body::Info(_)), Process::Client(process)) => {
                let place = self.complete(process, matches!(body, Body::Info(_)))?;
                complete(&mut history.operations[place], event, body)?;
            }
            (_, process) => return Err(format!("{process:?} does not do {}", event.f)),
        }
        Ok(())
    }

    fn invoke(&mut self, process: u64, place: usize) -> Result<(), String> {
        if self.ended.contains_key(&process) {
            return Err(format!("process {process} goes on after an unknown outcome"));
        }
        let open = self.processes.entry(process).or_default();
        if open.is_some() {
            return Err(format!("process {process} has an operation open"));
        }
        *open = Some(place);
        Ok(())
    }

    fn complete(&mut self, process: u64, unknown: bool) -> Result<usize, String> {
        if unknown {
            self.ended.insert(process, true);
        }
        let open = self.processes.get_mut(&process).and_then(Option::take);
        open.ok_or_else(|| format!("process {process} has no operation open"))
    }
}

fn complete(operation: &mut Operation, event: &Event, body: &Body) -> Result<(), String> {
    if event.of != Some(operation.index) || event.f != operation.op.f() {
        return Err(format!("does not complete {} at {}", operation.op.f(), operation.index));
    }
    operation.completion = Some(event.index);
    operation.seen_ns = event.time_ns;
    operation.outcome = match body {
        Body::Ok(answer) => Outcome::Ok(answer.clone()),
        Body::Fail(failure) if failure.is_definite() => Outcome::Fail(failure.clone()),
        Body::Fail(failure) => return Err(format!("{} is no failure but unknown", failure.code)),
        Body::Info(failure) => Outcome::Info(Some(failure.clone())),
        _ => return Err("no outcome".to_owned()),
    };
    if !matches!(operation.outcome, Outcome::Info(_)) {
        operation.return_ns = event.time_ns;
    }
    Ok(())
}
