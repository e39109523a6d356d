//! A chunked body (RFC 9112, section 7.1) as it arrives.

/// Where in a chunked body we are.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// The size that is being read, or what is left of the chunk.
    left: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// Digits of a size; `true` when there was one.
    #[default]
    FirstDigit,
    Digits,
    /// What follows a size in its line.
    Extension,
    Data,
    /// The line break after a chunk.
    DataEnd,
    /// A line of the trailer; the body ends with an empty one.
    TrailerStart,
    Trailer,
    Over,
}

/// This is no chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Chunked {
    /// Whether the body has ended.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes what has arrived, hands the data in it on, and tells how many of the bytes belong to the body.
    pub(super) fn read(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Over {
            if self.state == State::Data {
                let there = bytes.len() - at;
                let piece = usize::try_from(self.left).map_or(there, |left| left.min(there));
                take(&bytes[at..at + piece]);
                at += piece;
                self.left -= piece as u64;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        let digit = char::from(byte).to_digit(16);
        let next = match (&self.state, byte, digit) {
            (State::FirstDigit | State::Digits, _, Some(digit)) => {
                let size = self.left.checked_mul(16).ok_or(Malformed)?;
                self.left = size + u64::from(digit);
                State::Digits
            }
            (State::Digits | State::Extension, b'\n', _) if self.left > 0 => State::Data,
            (State::Digits | State::Extension, b'\n', _) => State::TrailerStart,
            (State::Digits, b'\r' | b';' | b' ', _) | (State::Extension, _, _) => State::Extension,
            (State::DataEnd, b'\r', _) => State::DataEnd,
            (State::DataEnd, b'\n', _) => State::FirstDigit,
            (State::TrailerStart, b'\r', _) => State::TrailerStart,
            (State::TrailerStart, b'\n', _) => State::Over,
            (State::Trailer, b'\n', _) => State::TrailerStart,
            (State::TrailerStart | State::Trailer, _, _) => State::Trailer,
            _ => return Err(Malformed),
        };
        self.state = next;
        Ok(())
    }
}
