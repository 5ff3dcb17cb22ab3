//! Tables of fields that are copied instead of made: the names are hashed once, and not with every
//! response.

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName, ValuesMut};

/// Where the fields of a response are put, one after the other, each once.
pub(super) trait Fields {
    /// Puts one field.
    fn put(&mut self, name: &'static HeaderName, value: HeaderValue);
}

/// By name, in place of what was there.
impl Fields for HeaderMap {
    fn put(&mut self, name: &'static HeaderName, value: HeaderValue) {
        self.insert(name, value);
    }
}

/// The places of a copy of a table.
pub(super) struct Places<'a>(ValuesMut<'a, HeaderValue>);

/// In the order of the names.
impl Fields for Places<'_> {
    #[inline]
    fn put(&mut self, _: &'static HeaderName, value: HeaderValue) {
        if let Some(place) = self.0.next() {
            // What was there owns nothing, so there is nothing to drop; finding that out for each
            // field would take as long as to write it.
            std::mem::forget(std::mem::replace(place, value));
        }
    }
}

/// The value in a place that nothing was put in.
pub(super) const NOTHING: HeaderValue = HeaderValue::from_static("");

/// A table with room for the values of some names.
pub(super) fn table<'a>(names: impl IntoIterator<Item = &'a HeaderName>) -> HeaderMap {
    names.into_iter().map(|name| (name.clone(), NOTHING)).collect()
}

/// A copy of a table with the values that are written, in the order of the names.
#[inline]
pub(super) fn filled(table: &HeaderMap, write: impl FnOnce(&mut Places<'_>)) -> HeaderMap {
    let mut fields = table.clone();
    write(&mut Places(fields.values_mut()));
    fields
}
