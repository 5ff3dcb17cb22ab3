//! A table of fields that is copied instead of made: the names are hashed once, when the layer is
//! built, and not with every response.

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};

/// Up to how many fields of an inner service are moved into a copy of the table. Moving more takes
/// longer than hashing the names of the layer's own.
const FEW: usize = 4;

/// Fields with room for their values.
#[derive(Debug)]
pub(crate) struct Template {
    table: HeaderMap,
    /// How many of the first fields have their value already.
    fixed: usize,
    /// The other fields, in the order in which the table keeps them.
    names: Box<[&'static HeaderName]>,
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
        Self { table, fixed: fixed.len(), names: names.into() }
    }

    /// Puts the values in place of those in `fields`; `false` if they are for other fields, or if
    /// there are better ways than this.
    pub(super) fn fill(
        &self,
        fields: &mut HeaderMap,
        names: impl ExactSizeIterator<Item = &'static HeaderName>,
        values: impl Iterator<Item = HeaderValue>,
    ) -> bool {
        let is_for_these = names.len() == self.names.len()
            && names.zip(&self.names).all(|(one, other)| std::ptr::eq(one, *other));
        if !is_for_these || fields.len() > FEW {
            return false;
        }
        let others = std::mem::replace(fields, self.table.clone());
        for (place, value) in fields.values_mut().skip(self.fixed).zip(values) {
            *place = value;
        }
        if !others.is_empty() {
            move_into(fields, others);
        }
        true
    }
}

/// A name is told with the first of its values.
fn move_into(fields: &mut HeaderMap, others: HeaderMap) {
    let mut last = None;
    for (name, value) in others {
        last = name.or(last);
        if let Some(name) = &last {
            fields.append(name, value);
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
        let mut fields = HeaderMap::new();
        for cookie in ["one", "two", "three"] {
            fields.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        assert!(template.fill(&mut fields, NAMES.into_iter(), values()));
        for (name, value) in NAMES.into_iter().zip(values()) {
            assert_eq!(fields.get(name), Some(&value));
        }
        assert_eq!(fields[CONTENT_TYPE], "text/plain");
        let cookies: Vec<_> = fields.get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["one", "two", "three"], "all values, in their order");
        assert_eq!(fields.len(), 7);
    }

    #[test]
    fn other_fields_are_refused_and_nothing_is_touched() {
        let template = Template::new(&[], &NAMES);
        let mut fields = HeaderMap::new();
        assert!(!template.fill(&mut fields, NAMES.into_iter().rev(), values()));
        assert!(!template.fill(&mut fields, NAMES[..2].iter().copied(), values()));
        assert!(fields.is_empty());
    }
}
