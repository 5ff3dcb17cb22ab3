//! A short text in the making.

/// As long as the values of a response under two policies or so.
const USUAL_BYTES: usize = 160;

/// A text that lies on the stack until it is finished, unless it is unusually long.
///
/// A list that decides with each byte where it lies is several times slower, and a text on the heap
/// is one allocation more: what is finished goes to the heap together with the count of those who
/// share it.
pub(super) enum Text {
    Short { bytes: [u8; USUAL_BYTES], len: usize },
    Long(Vec<u8>),
}

impl Text {
    pub(super) const fn new() -> Self {
        Self::Short { bytes: [0; USUAL_BYTES], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Short { len, .. } => *len,
            Self::Long(bytes) => bytes.len(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, part: &[u8]) {
        if let Self::Short { bytes, len } = self
            && let Some(room) = bytes.get_mut(*len..*len + part.len())
        {
            room.copy_from_slice(part);
            *len += part.len();
            return;
        }
        self.push_to_heap(part);
    }

    #[cold]
    fn push_to_heap(&mut self, part: &[u8]) {
        if let Self::Short { .. } = self {
            let mut bytes = Vec::with_capacity(4 * USUAL_BYTES);
            bytes.extend_from_slice(self.as_ref());
            *self = Self::Long(bytes);
        }
        if let Self::Long(bytes) = self {
            bytes.extend_from_slice(part);
        }
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short { bytes, len } => bytes.get(..*len).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Text, USUAL_BYTES};

    #[test]
    fn a_long_text_is_as_whole_as_a_short_one() {
        let mut text = Text::new();
        let mut expected = Vec::new();
        for number in 0..USUAL_BYTES {
            let part = vec![u8::try_from(number).unwrap(); number % 7];
            text.push(&part);
            expected.extend(part);
            assert_eq!(text.as_ref(), expected);
            assert_eq!(text.len(), expected.len());
            assert_eq!(matches!(text, Text::Long(_)), expected.len() > USUAL_BYTES);
        }
        assert!(expected.len() > 2 * USUAL_BYTES, "both forms were tried");
    }
}
