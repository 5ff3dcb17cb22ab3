//! The values of one response, written into one text.

use std::fmt::{Arguments, Write as _};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Values in the making. All share the memory of one text, where each would otherwise need its own.
pub(super) struct Values {
    text: String,
    /// The fields, and where their values end.
    ends: SmallVec<[(HeaderName, usize); 4]>,
}

impl Values {
    /// None yet.
    pub(super) fn new() -> Self {
        // The longest common case, so that one allocation is enough.
        Self { text: String::with_capacity(128), ends: SmallVec::new() }
    }

    /// Adds a field with a number.
    pub(super) fn number(&mut self, name: HeaderName, number: u64) {
        self.field(name, format_args!("{number}"));
    }

    /// Adds a field with a text of visible ASCII.
    pub(super) fn field(&mut self, name: HeaderName, value: Arguments<'_>) {
        self.push(value);
        self.end(name);
    }

    /// Continues the value of the field that is named by [`end`](Self::end).
    pub(super) fn push(&mut self, part: Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(part);
    }

    /// Ends the value of a field.
    pub(super) fn end(&mut self, name: HeaderName) {
        self.ends.push((name, self.text.len()));
    }

    /// Puts the fields in place of those that were there.
    pub(super) fn insert_into(self, fields: &mut HeaderMap) {
        if self.ends.is_empty() {
            return;
        }
        let text = Bytes::from(self.text);
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
