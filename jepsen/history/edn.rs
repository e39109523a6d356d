//! Histories as EDN, in the form that Jepsen's tools read: one op map per line.
//!
//! `{:index 7, :time 1500000, :process 3, :type :invoke, :f :append, :value {...}, :node "n1"}`. A fault is an `:info`
//! of the process `:nemesis` whose `:f` is the fault's name. Completions have `:of`, the index of their invoke, besides.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

use super::event::{Body, Event, Phase, Process};
use super::reader::History;

/// Writes every event as an op map.
///
/// # Errors
/// If `out` cannot be written.
pub fn write_edn(history: &History, out: &mut impl Write) -> io::Result<()> {
    for event in &history.events {
        let mut line = String::new();
        op_map(event, &mut line)?;
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn op_map(event: &Event, line: &mut String) -> io::Result<()> {
    let phase = match event.phase() {
        Phase::Invoke => ":invoke",
        Phase::Ok => ":ok",
        Phase::Fail => ":fail",
        Phase::Info => ":info",
    };
    let f = match &event.body {
        Body::Fault(fault) => &fault.name,
        _ => &event.f,
    };
    let process = match event.process {
        Process::Client(process) => process.to_string(),
        Process::Nemesis => ":nemesis".to_owned(),
    };
    let Event { index, time_ns, .. } = event;
    // Writing to a string does not fail.
    let _ = write!(
        line,
        "{{:index {index}, :time {time_ns}, :process {process}, :type {phase}, :f {}, :value ",
        keyword(f)
    );
    value(&event.value()?, line);
    if let Some(node) = event.node {
        let _ = write!(line, ", :node \"n{node}\"");
    }
    if let Some(of) = event.of {
        let _ = write!(line, ", :of {of}");
    }
    line.push('}');
    Ok(())
}

/// A name as a keyword; what a keyword may not hold becomes `-`.
fn keyword(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!(":{}", name.chars().map(fits).collect::<String>())
}

fn value(value: &Value, line: &mut String) {
    match value {
        Value::Null => line.push_str("nil"),
        Value::Array(items) => {
            line.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    line.push(' ');
                }
                self::value(item, line);
            }
            line.push(']');
        }
        Value::Object(fields) => {
            line.push('{');
            for (place, (name, field)) in fields.iter().enumerate() {
                if place > 0 {
                    line.push_str(", ");
                }
                line.push_str(&keyword(name));
                line.push(' ');
                self::value(field, line);
            }
            line.push('}');
        }
        // Booleans and numbers are written alike, and EDN's strings have JSON's escapes.
        Value::Bool(_) | Value::Number(_) | Value::String(_) => line.push_str(&value.to_string()),
    }
}
