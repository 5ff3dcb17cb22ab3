//! A short text in the making.

use bytes::Bytes;

use crate::decimal;

/// A text that lies on the stack until it is finished, unless it is longer than `N` bytes.
///
/// A list that decides with each byte where it lies is several times slower, and a text that grows
/// on the heap is one allocation more: what is finished goes there in one piece.
pub(crate) enum Text<const N: usize> {
    Short { bytes: [u8; N], len: usize },
    Long(Vec<u8>),
}

impl<const N: usize> Text<N> {
    // Always, because otherwise it is made in one place and copied to another, all of it.
    #[allow(clippy::inline_always, reason = "measured: a copy of what is empty")]
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self::Short { bytes: [0; N], len: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, part: &str) {
        let part = part.as_bytes();
        if let Self::Short { bytes, len } = self
            && let Some(room) = bytes.get_mut(*len..*len + part.len())
        {
            room.copy_from_slice(part);
            *len += part.len();
            return;
        }
        self.push_to_heap(part);
    }

    /// Continues with a number. Without the formatting machinery of the standard library, which
    /// would take as long as a decision.
    #[inline]
    pub(crate) fn push_number(&mut self, number: u64) {
        if let Self::Short { bytes, len } = self
            && let Some((digits, count)) = decimal::digits(number)
            && let Some(room) = bytes.get_mut(*len..*len + digits.len())
        {
            room.copy_from_slice(&digits);
            *len += count;
            return;
        }
        self.push_large_number(number);
    }

    /// Seconds of up to a day and more are what most numbers are that are not small.
    fn push_large_number(&mut self, number: u64) {
        match decimal::halves(number) {
            Some((first, last)) => {
                self.push_number(first);
                self.push(last);
            }
            None => self.push(itoa::Buffer::new().format(number)),
        }
    }

    /// What was written so far.
    pub(crate) fn as_str(&self) -> &str {
        // Only whole texts were pushed, so this cannot fail.
        str::from_utf8(self.as_ref()).unwrap_or_default()
    }

    /// The finished text, in one allocation. Leaves nothing behind if it was on the heap; borrowed all
    /// the same, because what lies on the stack would be copied for being moved.
    pub(crate) fn take_bytes(&mut self) -> Bytes {
        match self {
            Self::Short { .. } => Bytes::copy_from_slice(self.as_ref()),
            Self::Long(bytes) => std::mem::take(bytes).into(),
        }
    }

    #[cold]
    fn push_to_heap(&mut self, part: &[u8]) {
        if let Self::Short { .. } = self {
            let mut bytes = Vec::with_capacity(4 * N);
            bytes.extend_from_slice(self.as_ref());
            *self = Self::Long(bytes);
        }
        if let Self::Long(bytes) = self {
            bytes.extend_from_slice(part);
        }
    }
}

impl<const N: usize> AsRef<[u8]> for Text<N> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short { bytes, len } => bytes.get(..*len).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn a_long_text_is_as_whole_as_a_short_one() {
        let mut text = Text::<160>::new();
        let mut expected = String::new();
        for number in 0..160_u8 {
            let part = char::from(number % 128).to_string().repeat(usize::from(number % 7));
            text.push(&part);
            expected.push_str(&part);
            assert_eq!(text.as_str(), expected);
            assert_eq!(matches!(text, Text::Long(_)), expected.len() > 160);
        }
        assert!(expected.len() > 2 * 160, "both forms were tried");
        assert_eq!(text.take_bytes(), expected);
    }
}
