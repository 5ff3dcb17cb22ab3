//! The values of one response, written into one text.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::text::Text;

/// Values in the making. All share the memory of one text, where each would otherwise need its own.
pub(super) struct Values {
    text: Text,
    /// The fields, and where their values end.
    ends: SmallVec<[(&'static HeaderName, usize); 5]>,
}

impl Values {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { text: Text::new(), ends: SmallVec::new() }
    }

    /// Adds a field with a number.
    pub(super) fn number(&mut self, name: &'static HeaderName, number: u64) {
        self.push_number(number);
        self.end(name);
    }

    /// Continues the value of the field that is named by [`end`](Self::end). Only visible ASCII.
    #[inline]
    pub(super) fn push(&mut self, part: &str) {
        self.text.push(part.as_bytes());
    }

    /// Continues it with a number. Without the formatting machinery of the standard library, which
    /// would take as long as the decision.
    pub(super) fn push_number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number));
    }

    /// Continues it with a value that was rendered beforehand. It is copied, because sharing it
    /// would have all cores count the references to one place in memory.
    pub(super) fn push_value(&mut self, value: &HeaderValue) {
        self.text.push(value.as_bytes());
    }

    /// Whether the field that is not yet named has anything in it.
    pub(super) fn has_begun(&self) -> bool {
        self.text.len() > self.ends.last().map_or(0, |(_, end)| *end)
    }

    /// Ends the value of a field.
    pub(super) fn end(&mut self, name: &'static HeaderName) {
        self.ends.push((name, self.text.len()));
    }

    /// All that was written, as one value; `None` if that is nothing.
    pub(super) fn into_value(self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.text.as_ref()).ok().filter(|value| !value.is_empty())
    }

    /// Puts the fields in place of those that were there.
    pub(super) fn insert_into(self, fields: &mut HeaderMap) {
        if self.ends.is_empty() {
            return;
        }
        fields.reserve(self.ends.len());
        // One allocation for the text and the count of those who share it.
        let text = Bytes::from_owner(self.text);
        let mut start = 0;
        for (name, end) in self.ends {
            // Only visible ASCII was written, so this cannot fail; a field less would be the lesser
            // evil.
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(start..end)) {
                fields.insert(name, value);
            }
            start = end;
        }
    }
}
