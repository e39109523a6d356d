//! Input of any length as bounded appends.
//!
//! Bytes are cut anywhere. Text is cut after a line where there is one in reach, and never inside a character: live
//! readers get appends one by one, and half a character would be no text. JSON input is a sequence of values, such as
//! JSON Lines; each is a message, and an array is as many messages as it has elements, as in the body of an append.

use std::collections::VecDeque;
use std::io::{self, Read};

use serde_json::Deserializer;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::client::http::{is_json, is_text};

/// How input of a content type is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// Anywhere.
    Bytes,
    /// Between lines, or at least between characters.
    Text,
    /// Between values.
    Json,
}

impl Split {
    /// How a stream of this type is cut.
    pub(crate) fn of(content_type: &str) -> Self {
        if is_json(content_type) {
            Self::Json
        } else if is_text(content_type) {
            Self::Text
        } else {
            Self::Bytes
        }
    }
}

/// Why there is no next piece.
#[derive(Debug, Error)]
pub(crate) enum SplitError {
    /// The input cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The input is for a JSON stream and is not JSON.
    #[error("the input is not valid JSON: {0}")]
    Json(serde_json::Error),
}

/// One append's body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) body: Vec<u8>,
    /// How much of the input is in this piece and those before it, in bytes.
    pub(crate) read_bytes: u64,
    /// Whether it is known to be the last. An input that does not tell its end before it is asked has no last piece.
    pub(crate) last: bool,
}

/// Cuts an input into pieces of about `piece_bytes`; only a single JSON value that is larger makes a larger one.
#[derive(Debug)]
pub(crate) struct Pieces<R> {
    input: R,
    split: Split,
    piece_bytes: usize,
    /// Whether to wait for a full piece. A pipe's writer may pause at any time, and what it wrote should not wait.
    fill: bool,
    buffer: Vec<u8>,
    ended: bool,
    read_bytes: u64,
    /// Below this many bytes in the buffer nothing can be cut: a value that was not whole is looked at again only
    /// when the buffer has doubled, so that long values do not take quadratic time.
    worth_cutting: usize,
    ready: VecDeque<Vec<u8>>,
}

impl<R: Read> Pieces<R> {
    /// Cuts `input`. `fill` says that it never pauses.
    pub(crate) fn new(input: R, split: Split, piece_bytes: usize, fill: bool) -> Self {
        Self {
            input,
            split,
            piece_bytes: piece_bytes.max(4),
            fill,
            buffer: Vec::new(),
            ended: false,
            read_bytes: 0,
            worth_cutting: 1,
            ready: VecDeque::new(),
        }
    }

    /// The next piece; `None` at the end of the input.
    ///
    /// # Errors
    /// See [`SplitError`].
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, SplitError> {
        loop {
            if let Some(body) = self.ready.pop_front() {
                return Ok(Some(self.piece(body)));
            }
            let full = self.buffer.len() >= self.piece_bytes || !self.fill;
            if self.ended || (full && self.buffer.len() >= self.worth_cutting) {
                self.cut()?;
            }
            if self.ready.is_empty() {
                if self.ended {
                    return Ok(None);
                }
                self.read()?;
            }
        }
    }

    fn piece(&self, body: Vec<u8>) -> Piece {
        Piece {
            body,
            read_bytes: self.read_bytes,
            last: self.ended && self.ready.is_empty() && self.buffer.is_empty(),
        }
    }

    /// Reads on; to a full piece and one byte beyond, which tells whether it is the last, where the input allows it.
    fn read(&mut self) -> Result<(), SplitError> {
        let target = (self.piece_bytes + 1)
            .max(self.worth_cutting)
            .max(self.buffer.len() + 1);
        loop {
            let filled = self.buffer.len();
            self.buffer.resize(target, 0);
            let read = self.input.read(&mut self.buffer[filled..]);
            self.buffer.truncate(filled + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            if self.ended || !self.fill || self.buffer.len() >= target {
                return Ok(());
            }
        }
    }

    fn cut(&mut self) -> Result<(), SplitError> {
        let end = match self.split {
            Split::Bytes => self.buffer.len().min(self.piece_bytes),
            Split::Text => text_end(&self.buffer, self.piece_bytes, self.ended),
            Split::Json => return self.cut_json(),
        };
        if end > 0 {
            self.ready.push_back(self.buffer[..end].to_vec());
        }
        self.consume(end);
        Ok(())
    }

    fn cut_json(&mut self) -> Result<(), SplitError> {
        let mut values = Deserializer::from_slice(&self.buffer).into_iter::<&RawValue>();
        let mut messages = Messages::new(self.piece_bytes);
        let mut end = 0;
        while end < self.piece_bytes {
            match values.next() {
                Some(Ok(value)) => {
                    // A number that ends where the buffer does may go on behind it.
                    let open = !self.ended && values.byte_offset() == self.buffer.len();
                    if open && value.get().ends_with(|last: char| !matches!(last, '}' | ']' | '"')) {
                        break;
                    }
                    messages.add(value.get()).map_err(SplitError::Json)?;
                    end = values.byte_offset();
                }
                Some(Err(error)) if error.is_eof() && !self.ended => break,
                // What came before it is appended first, wherever the input happened to be cut.
                Some(Err(_)) if end > 0 => break,
                Some(Err(error)) => return Err(SplitError::Json(error)),
                None => {
                    end = self.buffer.len();
                    break;
                }
            }
        }
        self.ready = messages.finish();
        // Behind the last value there may be white space, which would hide that the piece is the last.
        let rest = &self.buffer[end..];
        end += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.consume(end);
        Ok(())
    }

    fn consume(&mut self, end: usize) {
        self.buffer.drain(..end);
        self.read_bytes += end as u64;
        self.worth_cutting = if end == 0 { self.buffer.len() * 2 } else { 1 }.max(1);
    }
}

/// Where a piece of text ends that may have `limit` bytes: behind the last line break, else behind the last whole
/// character. Bytes that are no UTF-8 are cut like bytes.
fn text_end(text: &[u8], limit: usize, ended: bool) -> usize {
    if ended && text.len() <= limit {
        return text.len();
    }
    let reach = &text[..text.len().min(limit)];
    if text.len() > limit
        && let Some(line) = reach.iter().rposition(|byte| *byte == b'\n')
    {
        return line + 1;
    }
    match std::str::from_utf8(reach) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => reach.len(),
    }
}

/// JSON messages packed into arrays.
struct Messages {
    piece_bytes: usize,
    open: Vec<u8>,
    done: VecDeque<Vec<u8>>,
}

impl Messages {
    fn new(piece_bytes: usize) -> Self {
        Self {
            piece_bytes,
            open: Vec::new(),
            done: VecDeque::new(),
        }
    }

    fn add(&mut self, value: &str) -> Result<(), serde_json::Error> {
        if value.starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(value)?;
            elements.iter().for_each(|element| self.push(element.get()));
        } else {
            self.push(value);
        }
        Ok(())
    }

    fn push(&mut self, message: &str) {
        if !self.open.is_empty() && self.open.len() + message.len() + 2 > self.piece_bytes {
            self.close();
        }
        self.open.push(if self.open.is_empty() { b'[' } else { b',' });
        self.open.extend_from_slice(message.as_bytes());
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.open.push(b']');
            self.done.push_back(std::mem::take(&mut self.open));
        }
    }

    fn finish(mut self) -> VecDeque<Vec<u8>> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in portions, as a pipe does.
    struct Portions<'a>(&'a [u8], usize);

    impl Read for Portions<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(out.len()).min(self.0.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn pieces(input: &[u8], split: Split, piece_bytes: usize, fill: bool, portion: usize) -> Vec<Piece> {
        let mut pieces = Pieces::new(Portions(input, portion), split, piece_bytes, fill);
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            all.push(piece);
        }
        all
    }

    fn bodies(input: &[u8], split: Split, piece_bytes: usize, fill: bool, portion: usize) -> Vec<String> {
        let text = |piece: Piece| String::from_utf8(piece.body).unwrap();
        pieces(input, split, piece_bytes, fill, portion)
            .into_iter()
            .map(text)
            .collect()
    }

    #[test]
    fn bytes_are_cut_by_size() {
        assert_eq!(bodies(b"abcdefghij", Split::Bytes, 4, true, 3), ["abcd", "efgh", "ij"]);
        assert_eq!(bodies(b"abcdefgh", Split::Bytes, 4, true, 3), ["abcd", "efgh"]);
        assert!(bodies(b"", Split::Bytes, 4, true, 3).is_empty());
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        assert_eq!(bodies(b"abcdefgh", Split::Bytes, 4, false, 3), ["abc", "def", "gh"]);
    }

    #[test]
    fn the_last_piece_of_a_file_is_known_and_positions_add_up() {
        for (split, input) in [
            (Split::Bytes, &b"0123456789abcdef"[..]),
            (Split::Text, b"01\n3456\n89abcde\n"),
            (Split::Json, b"[1,22]\n333 \"x\"\n{}\n  \n"),
        ] {
            let pieces = pieces(input, split, 8, true, 5);
            let flags: Vec<bool> = pieces.iter().map(|piece| piece.last).collect();
            assert!(flags.len() > 1 && flags[flags.len() - 1] && !flags[..flags.len() - 1].contains(&true));
            assert_eq!(pieces[pieces.len() - 1].read_bytes, input.len() as u64);
            assert!(pieces.is_sorted_by_key(|piece| piece.read_bytes));
        }
    }

    #[test]
    fn text_is_cut_behind_lines_and_never_inside_a_character() {
        assert_eq!(
            bodies(b"ab\ncd\nefgh\n", Split::Text, 7, true, 2),
            ["ab\ncd\n", "efgh\n"]
        );
        assert_eq!(bodies("ääää".as_bytes(), Split::Text, 5, true, 2), ["ää", "ää"]);
        assert_eq!(bodies("äää".as_bytes(), Split::Text, 64, false, 3), ["ä", "ää"]);
        let broken = [0xff, 0xfe, 0xfd, 0xfc, 0xfb];
        let all: Vec<u8> = pieces(&broken, Split::Text, 4, true, 2)
            .into_iter()
            .flat_map(|piece| piece.body)
            .collect();
        assert_eq!(all, broken);
    }

    #[test]
    fn json_values_are_messages_and_arrays_are_flattened_once() {
        let input = b"{\"a\": 1}\n[2, [3]] \"four\" [] 5";
        let expected = "[{\"a\": 1},2,[3],\"four\",5]";
        assert_eq!(bodies(input, Split::Json, 1000, true, 7), [expected]);
        for portion in 1..input.len() {
            let joined: Vec<String> = bodies(input, Split::Json, 1000, false, portion)
                .iter()
                .map(|body| body[1..body.len() - 1].to_owned())
                .collect();
            assert_eq!(format!("[{}]", joined.join(",")), expected, "in portions of {portion}");
        }
    }

    #[test]
    fn a_large_array_makes_several_appends_and_a_large_value_one() {
        assert_eq!(
            bodies(b"[11,22,33,44]", Split::Json, 8, true, 64),
            ["[11,22]", "[33,44]"]
        );
        assert_eq!(
            bodies(b"\"0123456789\" 1", Split::Json, 8, true, 64),
            ["[\"0123456789\"]", "[1]"]
        );
    }

    #[test]
    fn what_is_no_json_is_refused_after_what_is() {
        let mut pieces = Pieces::new(&b"1 2 nope"[..], Split::Json, 100, true);
        assert_eq!(pieces.next().unwrap().unwrap().body, b"[1,2]");
        assert!(matches!(pieces.next(), Err(SplitError::Json(_))));
        let mut cut_short = Pieces::new(&b"{\"a\":"[..], Split::Json, 4, true);
        assert!(matches!(cut_short.next(), Err(SplitError::Json(_))));
    }
}
