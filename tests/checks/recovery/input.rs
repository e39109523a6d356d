//! Bytes as decisions.

/// What is left of the input. At its end every decision is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    /// A number below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let number = self
            .bytes(3)
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        number.checked_rem(end).unwrap_or_default()
    }

    /// The next bytes, `count` of them at most.
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
