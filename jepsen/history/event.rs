//! One line of a history.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::{Fault, Mark, StateHash};
use super::op::Op;
use super::outcome::{Answer, Failure};

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// A client's thread.
    Client(u64),
    /// The one that breaks things, or the harness itself.
    Nemesis,
}

/// What kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// An operation begins.
    Invoke,
    /// It took effect.
    Ok,
    /// It did not.
    Fail,
    /// It is unknown whether it did; also everything that the nemesis says.
    Info,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `invoke`.
    Invoke(Op),
    /// `ok`.
    Ok(Answer),
    /// `fail`.
    Fail(Failure),
    /// `info` of an operation.
    Info(Failure),
    /// `f` is `fault`.
    Fault(Fault),
    /// `f` is `mark`.
    Mark(Mark),
    /// `f` is `state-hash`.
    StateHash(StateHash),
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts up from 0.
    pub index: u64,
    /// Since the run began.
    pub time_ns: u64,
    /// Who.
    pub process: Process,
    /// The node that is asked or spoken of.
    pub node: Option<u32>,
    /// What was asked; also on completions.
    pub f: String,
    /// Completions: the index of the invoke.
    pub of: Option<u64>,
    /// The rest.
    pub body: Body,
}

impl Event {
    /// The kind of event.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.body {
            Body::Invoke(_) => Phase::Invoke,
            Body::Ok(_) => Phase::Ok,
            Body::Fail(_) => Phase::Fail,
            Body::Info(_) | Body::Fault(_) | Body::Mark(_) | Body::StateHash(_) => Phase::Info,
        }
    }
}

/// The line as it is in the file: `value` is read by `f` and `phase`.
#[derive(Serialize, Deserialize)]
struct Line<V> {
    index: u64,
    time_ns: u64,
    process: Process,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<u32>,
    phase: Phase,
    f: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<u64>,
    value: V,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let value = self.value().map_err(S::Error::custom)?;
        Line {
            index: self.index,
            time_ns: self.time_ns,
            process: self.process,
            node: self.node,
            phase: self.phase(),
            f: self.f.clone(),
            of: self.of,
            value,
        }
        .serialize(serializer)
    }
}

impl Event {
    /// The `value` of the line, as JSON.
    ///
    /// # Errors
    /// None in practice: every body is plain data.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        match &self.body {
            Body::Invoke(op) => Ok(match serde_json::to_value(op)? {
                Value::Object(tagged) => tagged.into_iter().next().map_or(Value::Null, |(_, fields)| fields),
                other => other,
            }),
            Body::Ok(answer) => serde_json::to_value(answer),
            Body::Fail(failure) | Body::Info(failure) => serde_json::to_value(failure),
            Body::Fault(fault) => serde_json::to_value(fault),
            Body::Mark(mark) => serde_json::to_value(mark),
            Body::StateHash(hash) => serde_json::to_value(hash),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let line = Line::<Box<RawValue>>::deserialize(deserializer)?;
        let body = body(&line).map_err(D::Error::custom)?;
        Ok(Self {
            index: line.index,
            time_ns: line.time_ns,
            process: line.process,
            node: line.node,
            f: line.f,
            of: line.of,
            body,
        })
    }
}

fn body(line: &Line<Box<RawValue>>) -> Result<Body, serde_json::Error> {
    let value = line.value.get();
    match (line.f.as_str(), line.phase) {
        ("fault", _) => serde_json::from_str(value).map(Body::Fault),
        ("mark", _) => serde_json::from_str(value).map(Body::Mark),
        ("state-hash", _) => serde_json::from_str(value).map(Body::StateHash),
        // The tag is outside; an operation's own form has it outside, too, so it is put around the text.
        (f, Phase::Invoke) => {
            let tag = serde_json::to_string(f)?;
            serde_json::from_str(&format!("{{{tag}:{value}}}")).map(Body::Invoke)
        }
        (_, Phase::Ok) => serde_json::from_str(value).map(Body::Ok),
        (_, Phase::Fail) => serde_json::from_str(value).map(Body::Fail),
        (_, Phase::Info) => serde_json::from_str(value).map(Body::Info),
    }
}

impl Serialize for Process {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client(number) => serializer.serialize_u64(*number),
            Self::Nemesis => serializer.serialize_str("nemesis"),
        }
    }
}

impl<'de> Deserialize<'de> for Process {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Name(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(Self::Client(number)),
            Form::Name(name) if name == "nemesis" => Ok(Self::Nemesis),
            Form::Name(name) => Err(D::Error::custom(format!("no such process: {name}"))),
        }
    }
}
