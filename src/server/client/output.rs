//! Messages and reports on stdout.

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::error::ClientError;

/// Prints one line: JSON for programs, or the text for people.
///
/// # Errors
/// When stdout cannot be written to.
pub(crate) fn report(json: bool, value: &Value, text: &str) -> Result<(), ClientError> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(out.flush()?)
}

/// Says something on stderr. Nothing depends on whether somebody is there to read it.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A page of a JSON stream as lines, one message each, in the sender's own bytes. A line break can only be white space
/// between tokens there, so a blank takes its place.
///
/// # Errors
/// When the page is no JSON array.
pub(crate) fn json_lines(page: &[u8]) -> Result<Vec<Vec<u8>>, ClientError> {
    if page.is_empty() {
        return Ok(Vec::new());
    }
    let messages: Vec<&RawValue> =
        serde_json::from_slice(page).map_err(|_| ClientError::NoStreamServer("JSON array as its body"))?;
    let line = |message: &&RawValue| {
        let mut line = message.get().replace(['\n', '\r'], " ").into_bytes();
        line.push(b'\n');
        line
    };
    Ok(messages.iter().map(line).collect())
}

/// Prints a page: JSON messages as lines, anything else as it is.
///
/// # Errors
/// When stdout cannot be written to, or the page is not what its type says.
pub(crate) fn page(is_json: bool, body: &[u8]) -> Result<(), ClientError> {
    let mut out = io::stdout().lock();
    if is_json {
        out.write_all(&json_lines(body)?.concat())?;
    } else {
        out.write_all(body)?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_messages_become_lines_with_their_own_spelling() {
        let lines = json_lines(b"[{\"a\":\r\n 1.0},\"x\\ny\" ,[1, 2]]").unwrap();
        assert_eq!(lines.concat(), b"{\"a\":   1.0}\n\"x\\ny\"\n[1, 2]\n");
        assert!(json_lines(b"").unwrap().is_empty());
        assert!(json_lines(b"{}").is_err());
    }
}
