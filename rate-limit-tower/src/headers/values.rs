//! The values of one response, on their way into its fields.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::decimal;
use super::template::Template;
use crate::text::Text;

/// As long as the texts of a response under two policies or so.
const USUAL_BYTES: usize = 96;

/// Values in the making. Those that have to be written share the memory of one text, where each
/// would otherwise need its own.
pub(super) struct Values<'a> {
    text: Text<USUAL_BYTES>,
    /// Where the value begins that is not yet named.
    begin: usize,
    parts: SmallVec<[(&'static HeaderName, Part<'a>); 6]>,
}

/// Where the value of a field comes from.
enum Part<'a> {
    /// It was there before.
    Given(&'static str),
    /// It was rendered beforehand.
    Rendered(&'a HeaderValue),
    /// So many bytes of the text.
    Written(usize),
}

impl<'a> Values<'a> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { text: Text::new(), begin: 0, parts: SmallVec::new() }
    }

    /// Adds a field with a number.
    #[inline]
    pub(super) fn number(&mut self, name: &'static HeaderName, number: u64) {
        if let Some(text) = decimal::text(number) {
            self.parts.push((name, Part::Given(text)));
        } else {
            self.text.push_number(number);
            self.end(name);
        }
    }

    /// Adds a field with a value that was rendered beforehand.
    #[inline]
    pub(super) fn rendered(&mut self, name: &'static HeaderName, value: &'a HeaderValue) {
        self.parts.push((name, Part::Rendered(value)));
    }

    /// Continues the value of the field that is named by [`end`](Self::end). Only visible ASCII.
    pub(super) fn push(&mut self, part: &str) {
        self.text.push(part);
    }

    /// Continues it with a number.
    pub(super) fn push_number(&mut self, number: u64) {
        self.text.push_number(number);
    }

    /// Ends the value of a field. One without a value is left out.
    #[inline]
    pub(super) fn end(&mut self, name: &'static HeaderName) {
        let written = self.text.len() - self.begin;
        if written > 0 {
            self.parts.push((name, Part::Written(written)));
            self.begin = self.text.len();
        }
    }

    /// All that was written.
    pub(super) fn as_text(&self) -> &str {
        self.text.as_str()
    }

    /// Puts the fields in place of those that were there, and says whether the template was of use.
    pub(super) fn insert_into(self, fields: &mut HeaderMap, template: &Template) -> bool {
        let Self { text, parts, .. } = self;
        let is_written = |part: &&(_, Part<'_>)| matches!(part.1, Part::Written(_));
        let mut text = match parts.iter().filter(is_written).count() {
            0 => Bytes::new(),
            1 => text.into_bytes(),
            _ => text.into_shared_bytes(),
        };
        let names = parts.iter().map(|(name, _)| *name);
        let mut values = parts.iter().map(|(_, part)| part.value(&mut text));
        if template.fill(fields, names.clone(), &mut values) {
            return true;
        }
        fields.reserve(parts.len());
        for (name, value) in names.zip(values) {
            fields.insert(name, value);
        }
        false
    }
}

impl Part<'_> {
    #[inline]
    fn value(&self, text: &mut Bytes) -> HeaderValue {
        match self {
            Self::Given(text) => HeaderValue::from_static(text),
            Self::Rendered(value) => (*value).clone(),
            // Only visible ASCII was written, so this cannot fail; an empty field would be the
            // lesser evil.
            Self::Written(bytes) => HeaderValue::from_maybe_shared(text.split_to(*bytes))
                .unwrap_or(HeaderValue::from_static("")),
        }
    }
}
