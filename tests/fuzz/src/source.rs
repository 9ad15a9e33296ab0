//! Choices, drawn from the bytes of an input.
//!
//! Promises: the same bytes give the same choices; bytes that have run out give zeros, so every
//! input is one; a choice takes few bytes and takes them in order, so that a fuzzer's small change of
//! the bytes is a small change of what happens.

/// Bytes that choices are drawn from.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    /// Draws from these bytes.
    pub fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { rest: bytes }
    }

    /// Whether all bytes are used up: from here on everything is zero.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        first
    }

    /// Two bytes, the lower one first.
    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// True for odd bytes.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// 0 to `choices` - 1, of at most 256.
    pub fn pick(&mut self, choices: usize) -> usize {
        usize::from(self.byte()) % choices.max(1)
    }

    /// 0 to `choices` - 1, of at most 65,536.
    pub fn place(&mut self, choices: usize) -> usize {
        usize::from(self.word()) % choices.max(1)
    }

    /// Up to 16 bytes, fewer where the input ends, as a number whose first byte says how many: small
    /// numbers are likely, and so are those at the ends of the types.
    pub fn number(&mut self) -> u128 {
        let kind = self.byte();
        match kind {
            0..=199 => u128::from(kind),
            200..=223 => u128::from(self.word()) << (kind - 200),
            224..=239 => self.bytes_of_number(usize::from(kind - 223)),
            240 => u128::from(u32::MAX),
            241 => 1 << 53,
            242 => u128::from(u64::MAX),
            243 => i128::MAX as u128,
            _ => u128::MAX - u128::from(255 - kind),
        }
    }

    fn bytes_of_number(&mut self, count: usize) -> u128 {
        let mut bytes = [0; 16];
        bytes[..count].iter_mut().for_each(|byte| *byte = self.byte());
        u128::from_le_bytes(bytes)
    }

    /// The next bytes, fewer where the input ends.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}
