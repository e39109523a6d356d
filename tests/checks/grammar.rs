//! The grammar of RFC 8259 once more, written from the RFC and without recursion. It knows nothing of values, so it
//! takes numbers and escapes that a parser cannot represent.

/// Whether the whole text is one JSON value with white space around it.
pub(crate) fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok() && Scanner { rest: text }.document().is_some()
}

/// The text without the white space at its front.
pub(crate) fn skip_space(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !b" \t\r\n".contains(byte));
    end.map_or(&[], |end| &text[end..])
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl Scanner<'_> {
    /// `None` when the text is not in the grammar; so in every function below.
    fn document(&mut self) -> Option<()> {
        let mut closers = Vec::new();
        loop {
            if self.begin_value(&mut closers)? {
                continue;
            }
            loop {
                self.rest = skip_space(self.rest);
                match (self.next(), closers.last()) {
                    (None, None) => return Some(()),
                    (Some(b','), Some(b']')) => break,
                    (Some(b','), Some(_)) => {
                        self.key()?;
                        break;
                    }
                    (Some(byte), Some(closer)) if byte == *closer => {
                        closers.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Whether another value has to begin here, as the one that began holds others.
    fn begin_value(&mut self, closers: &mut Vec<u8>) -> Option<bool> {
        self.rest = skip_space(self.rest);
        match self.next()? {
            b'[' => {
                self.rest = skip_space(self.rest);
                if !self.take(b']') {
                    closers.push(b']');
                    return Some(true);
                }
            }
            b'{' => {
                self.rest = skip_space(self.rest);
                if !self.take(b'}') {
                    self.key()?;
                    closers.push(b'}');
                    return Some(true);
                }
            }
            b'"' => self.string()?,
            b't' => self.literal(b"rue")?,
            b'f' => self.literal(b"alse")?,
            b'n' => self.literal(b"ull")?,
            first => self.number(first)?,
        }
        Some(false)
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.next();
        }
        found
    }

    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn key(&mut self) -> Option<()> {
        self.rest = skip_space(self.rest);
        self.literal(b"\"")?;
        self.string()?;
        self.rest = skip_space(self.rest);
        self.literal(b":")
    }

    fn string(&mut self) -> Option<()> {
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => match self.next()? {
                    b'u' => {
                        for _ in 0..4 {
                            self.next().filter(u8::is_ascii_hexdigit)?;
                        }
                    }
                    other => {
                        b"\"\\/bfnrt".contains(&other).then_some(())?;
                    }
                },
                0..=0x1f => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => {
                self.digits();
            }
            _ => return None,
        }
        if self.take(b'.') && self.digits() == 0 {
            return None;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            return (self.digits() > 0).then_some(());
        }
        Some(())
    }

    fn digits(&mut self) -> usize {
        let end = self
            .rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
        end
    }
}
