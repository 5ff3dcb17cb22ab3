//! Documents that were written before, up to a few numbers.
//!
//! What denials of one policy say differs in when to try again and in what remains. An attack
//! consists of denials, so the rest is written once for each policy, with the first of them.

use bytes::Bytes;

use crate::decimal;
use crate::text::Text;

/// Where a document or a message is written to.
pub(super) trait Writer {
    /// Continues with a text.
    fn push(&mut self, part: &str);

    /// Continues with a number that is the same in each denial of a policy.
    fn push_number(&mut self, number: u64);

    /// Continues with what depends on a number that differs.
    fn push_blank(&mut self, blank: Blank, number: u64);
}

/// What is left open in a [`Form`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Blank {
    /// What remains.
    Remaining,
    /// Whole seconds after which to try again.
    RetryAfterSeconds,
    /// What tells one such second from several.
    RetryAfterPlural,
}

/// A document with blanks.
#[derive(Debug, Default)]
pub(crate) struct Form {
    text: String,
    /// The blanks, with where the text before them ends.
    blanks: Vec<(usize, Blank)>,
}

impl Form {
    /// The document with these numbers, in one allocation.
    #[inline]
    pub(super) fn filled(&self, retry_after_seconds: u64, remaining: u64) -> Bytes {
        let (mut seconds, mut units) = (itoa::Buffer::new(), itoa::Buffer::new());
        let seconds = decimal::text(retry_after_seconds)
            .unwrap_or_else(|| seconds.format(retry_after_seconds));
        let remaining = decimal::text(remaining).unwrap_or_else(|| units.format(remaining));
        let fill = |blank| match blank {
            Blank::Remaining => remaining,
            Blank::RetryAfterSeconds => seconds,
            Blank::RetryAfterPlural => plural(retry_after_seconds),
        };
        let filled: usize = self.blanks.iter().map(|(_, blank)| fill(*blank).len()).sum();
        let mut document = Vec::with_capacity(self.text.len() + filled);
        let mut begin = 0;
        for (end, blank) in &self.blanks {
            document.extend_from_slice(self.text.get(begin..*end).unwrap_or_default().as_bytes());
            document.extend_from_slice(fill(*blank).as_bytes());
            begin = *end;
        }
        document.extend_from_slice(self.text.get(begin..).unwrap_or_default().as_bytes());
        document.into()
    }
}

/// Leaves blanks open.
impl Writer for Form {
    fn push(&mut self, part: &str) {
        self.text.push_str(part);
    }

    fn push_number(&mut self, number: u64) {
        self.text.push_str(itoa::Buffer::new().format(number));
    }

    fn push_blank(&mut self, blank: Blank, _: u64) {
        self.blanks.push((self.text.len(), blank));
    }
}

/// Fills them in.
impl<const N: usize> Writer for Text<N> {
    fn push(&mut self, part: &str) {
        Text::push(self, part);
    }

    fn push_number(&mut self, number: u64) {
        Text::push_number(self, number);
    }

    fn push_blank(&mut self, blank: Blank, number: u64) {
        match blank {
            Blank::Remaining | Blank::RetryAfterSeconds => Text::push_number(self, number),
            Blank::RetryAfterPlural => Text::push(self, plural(number)),
        }
    }
}

/// What a noun ends with.
pub(super) const fn plural(number: u64) -> &'static str {
    if number == 1 { "" } else { "s" }
}
