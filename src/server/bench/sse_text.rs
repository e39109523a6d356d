//! Server-Sent Events as they arrive.

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Event {
    /// Messages.
    Data,
    /// Where the subscriber is.
    Control,
    /// Neither.
    #[default]
    Other,
}

/// The events of one answer.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// A line that has not come in full.
    line: Vec<u8>,
    event: Event,
    /// The event's data so far; its lines are joined by line breaks.
    data: Vec<u8>,
}

impl Events {
    /// Takes what has arrived, and hands on each event that is whole.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut hand_on: impl FnMut(Event, &[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (piece, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.line.is_empty() {
                self.line(piece, &mut hand_on);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(piece);
                self.line(&line, &mut hand_on);
                line.clear();
                self.line = line;
            }
        }
        self.line.extend_from_slice(bytes);
    }

    fn line(&mut self, line: &[u8], hand_on: &mut impl FnMut(Event, &[u8])) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            // An event without data is none; the line break after its last line is no data.
            if let Some(data) = self.data.strip_suffix(b"\n") {
                hand_on(self.event, data);
            }
            self.data.clear();
            self.event = Event::Other;
        } else if let Some(data) = line.strip_prefix(b"data:") {
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.data.push(b'\n');
        } else if let Some(event) = line.strip_prefix(b"event:") {
            self.event = match event.strip_prefix(b" ").unwrap_or(event) {
                b"data" => Event::Data,
                b"control" => Event::Control,
                _ => Event::Other,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_wherever_they_are_cut() {
        let text =
            b": hello\n\nevent: data\ndata: one\ndata:two\n\nevent:control\r\ndata:{}\r\n\r\nevent: x\ndata: y\n\n\
                     event: data\n\nevent: data\ndata: half";
        for size in 1..=text.len() {
            let (mut events, mut seen) = (Events::default(), Vec::new());
            for piece in text.chunks(size) {
                events.read(piece, |event, data| seen.push((event, data.to_vec())));
            }
            let expected = [
                (Event::Data, b"one\ntwo".to_vec()),
                (Event::Control, b"{}".to_vec()),
                (Event::Other, b"y".to_vec()),
            ];
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }
}
