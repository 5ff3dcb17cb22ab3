//! A table of fields that is copied instead of made: the names are hashed once, when the layer is
//! built, and not with every response.

use std::iter::Skip;

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName, ValuesMut};

/// Up to how many fields of an inner service are moved into the table. Moving more takes longer than
/// hashing the names of the layer's own.
const FEW: usize = 4;

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

/// Fields with room for their values.
#[derive(Debug)]
pub(super) struct Template {
    table: HeaderMap,
    /// How many of the first fields have their value already.
    fixed: usize,
}

/// The places of a copy of a [`Template`]. The values have to come in the order of its names.
pub(super) struct Places<'a>(Skip<ValuesMut<'a, HeaderValue>>);

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

impl Template {
    /// The fields that are always the same, and the names of the others.
    pub(super) fn new(fixed: &[(HeaderName, HeaderValue)], names: &[&'static HeaderName]) -> Self {
        // A few more have room, so that what others add does not make the table grow.
        let mut table = HeaderMap::with_capacity(fixed.len() + names.len() + FEW);
        table.extend(fixed.iter().cloned());
        for name in names {
            table.insert(*name, HeaderValue::from_static(""));
        }
        Self { table, fixed: fixed.len() }
    }

    /// The fields with the values that are written, each in the place of its name.
    #[inline]
    pub(super) fn filled(&self, write: impl FnOnce(&mut Places<'_>)) -> HeaderMap {
        let mut fields = self.table.clone();
        write(&mut Places(fields.values_mut().skip(self.fixed)));
        fields
    }
}

/// Puts the fields of a table beside those that are there, among which is none of the same name.
pub(super) fn join(fields: &mut HeaderMap, table: HeaderMap) {
    if fields.is_empty() {
        *fields = table;
    } else if fields.len() <= FEW {
        let others = std::mem::replace(fields, table);
        // A name is told with the first of its values.
        let mut last = None;
        for (name, value) in others {
            last = name.or(last);
            if let Some(name) = &last {
                fields.append(name, value);
            }
        }
    } else {
        fields.reserve(table.len());
        // Each of these has one value.
        for (name, value) in table {
            if let Some(name) = name {
                fields.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, SET_COOKIE};

    use super::*;
    use crate::headers::{RATELIMIT, RATELIMIT_POLICY, X_RATELIMIT_LIMIT};

    static NAMES: [&HeaderName; 3] = [&X_RATELIMIT_LIMIT, &RATELIMIT_POLICY, &RATELIMIT];

    fn values() -> impl Iterator<Item = HeaderValue> {
        ["a", "b", "c"].map(HeaderValue::from_static).into_iter()
    }

    #[test]
    fn every_value_meets_its_name_whatever_was_there_before() {
        let fixed = [(CONTENT_TYPE, HeaderValue::from_static("text/plain"))];
        let template = Template::new(&fixed, &NAMES);
        for others in 0..8_u16 {
            let mut fields = HeaderMap::new();
            for cookie in 0..others {
                fields.append(SET_COOKIE, cookie.into());
            }
            let write = |places: &mut Places<'_>| {
                NAMES.into_iter().zip(values()).for_each(|(name, value)| places.put(name, value));
            };
            join(&mut fields, template.filled(write));
            for (name, value) in NAMES.into_iter().zip(values()) {
                assert_eq!(fields.get(name), Some(&value));
            }
            assert_eq!(fields[CONTENT_TYPE], "text/plain");
            let cookies: Vec<_> = fields.get_all(SET_COOKIE).iter().cloned().collect();
            let expected: Vec<HeaderValue> = (0..others).map(HeaderValue::from).collect();
            assert_eq!(cookies, expected, "all values, in their order");
            assert_eq!(fields.len(), 4 + usize::from(others));
        }
    }
}
