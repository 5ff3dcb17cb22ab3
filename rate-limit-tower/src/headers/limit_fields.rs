//! The fields about limits, before it is known what else the response tells.
//!
//! A copy of a table has just as much room as it has fields. Whoever adds one more makes it grow to
//! more than a kilobyte, which the allocator of glibc does not have at hand, and that takes longer
//! than the copy did. So the table may have places for what most responses tell about their body.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{HeaderMap, HeaderName};

use super::selection::{DraftFields, HeaderFields};
use super::template::{self, Places};
use super::{
    LENGTH, TYPE, X_RATELIMIT_LIMIT, X_RATELIMIT_REMAINING, X_RATELIMIT_RESET, carry_limits,
    clear_limits, draft,
};

/// What most responses tell about their body, and outer layers add if an inner one does not.
static OF_BODY: [&HeaderName; 2] = [&TYPE, &LENGTH];

/// Up to how many fields of an inner service are moved into the table. Moving more takes longer than
/// hashing the names of the layer's own.
const FEW: usize = 4;

/// The fields about limits of one response.
pub(crate) struct LimitFields {
    table: HeaderMap,
    names: &'static Names,
    /// Whether the last places of the table are for what the response tells about its body.
    has_places: bool,
}

/// The names of the fields of one selection, in the order in which they are written.
#[derive(Debug)]
pub(super) struct Names {
    all: Vec<&'static HeaderName>,
    alone: HeaderMap,
    with_places: HeaderMap,
    /// Whether any response has told about its body. Which table is copied is a matter of time
    /// alone, so nothing else hangs on this; and it changes once, so all cores can read it.
    have_bodies: AtomicBool,
}

impl Names {
    /// Those of a selection. They are made once and last, so that a response on its way refers to
    /// them without counting who refers to its layer.
    pub(super) fn of(selection: HeaderFields) -> &'static Self {
        static ALL: [[OnceLock<Names>; 4]; 2] = [const { [const { OnceLock::new() }; 4] }; 2];

        let [without_legacy, with_legacy] = &ALL;
        let legacy = if selection.legacy.is_some() { with_legacy } else { without_legacy };
        let [none, revision_06, revision_07, revision_08_to_11] = legacy;
        let names = match selection.draft {
            DraftFields::None => none,
            DraftFields::Revision06 => revision_06,
            DraftFields::Revision07 => revision_07,
            DraftFields::Revision08To11 => revision_08_to_11,
        };
        names.get_or_init(|| Self::new(selection))
    }

    fn new(selection: HeaderFields) -> Self {
        let mut all: Vec<&'static HeaderName> = Vec::new();
        if selection.legacy.is_some() {
            all.extend([&X_RATELIMIT_LIMIT, &X_RATELIMIT_REMAINING, &X_RATELIMIT_RESET]);
        }
        all.extend(draft::names(selection.draft));
        let alone = template::table(all.iter().copied());
        let with_places = template::table(all.iter().copied().chain(OF_BODY));
        Self { all, alone, with_places, have_bodies: AtomicBool::new(false) }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &'static HeaderName> {
        self.all.iter().copied()
    }
}

impl LimitFields {
    /// With the values that are written, in the order of the names.
    #[inline]
    pub(super) fn new(names: &'static Names, write: impl FnOnce(&mut Places<'_>)) -> Self {
        let has_places = names.have_bodies.load(Ordering::Relaxed);
        let table = if has_places { &names.with_places } else { &names.alone };
        Self { table: template::filled(table, write), names, has_places }
    }

    /// Puts them in place of all that was told about limits before.
    #[inline]
    pub(crate) fn put_into(self, fields: &mut HeaderMap) {
        let Self { table, names, has_places } = self;
        if carry_limits(fields) {
            clear_limits(fields);
        }
        if fields.is_empty() && !has_places {
            *fields = table;
        } else if fields.len() <= FEW {
            if !has_places && fields.keys().any(|name| *name == TYPE) {
                names.have_bodies.store(true, Ordering::Relaxed);
            }
            let others = std::mem::replace(fields, table);
            join(fields, others, has_places);
        } else {
            fields.reserve(names.all.len());
            for (name, value) in names.all().zip(table.values()) {
                fields.insert(name, value.clone());
            }
        }
    }
}

/// Adds fields to a table that has none of the same names, but perhaps places for those of the body.
/// Places that stay empty go.
#[inline]
fn join(table: &mut HeaderMap, others: HeaderMap, has_places: bool) {
    let mut is_vacant = [has_places; 2];
    // A name is told with the first of its values.
    let mut last = None;
    for (name, value) in others {
        last = name.or(last);
        let Some(name) = &last else { continue };
        let mut vacant = OF_BODY.iter().zip(&mut is_vacant);
        match vacant.find(|(of_body, is_vacant)| **is_vacant && **of_body == name) {
            Some((_, is_vacant)) => {
                *is_vacant = false;
                // Comparing a few names is cheaper than hashing one.
                if let Some((_, place)) = table.iter_mut().find(|(one, _)| *one == name) {
                    *place = value;
                }
            }
            None => _ = table.append(name, value),
        }
    }
    for (name, _) in OF_BODY.iter().zip(is_vacant).filter(|(_, is_vacant)| *is_vacant) {
        table.remove(*name);
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE};

    use super::*;
    use crate::headers::template::Fields;

    const VALUES: [&str; 5] = ["100", "7", "1795324376", "\"a\";r=7;t=1", "\"a\";q=100;w=60"];

    fn names() -> &'static Names {
        Box::leak(Box::new(Names::new(HeaderFields::new())))
    }

    fn limit_fields(names: &'static Names) -> LimitFields {
        LimitFields::new(names, |places| {
            for (name, value) in names.all().zip(VALUES) {
                places.put(name, HeaderValue::from_static(value));
            }
        })
    }

    /// What a service may have said already.
    fn responses() -> Vec<HeaderMap> {
        let body = [(CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, "5")];
        let mut responses = vec![HeaderMap::new()];
        let twice = [body[0].clone(), body[0].clone(), body[1].clone()];
        let elsewhere = [(LOCATION, "/")];
        for said in [&body[..1], &body[1..], &body, &twice[..2], &twice, &elsewhere] {
            for cookies in 0..8_u16 {
                let mut fields = HeaderMap::new();
                for (name, value) in said {
                    fields.append(name, HeaderValue::from_static(value));
                }
                for cookie in 0..cookies {
                    fields.append(SET_COOKIE, cookie.into());
                }
                responses.push(fields);
            }
        }
        responses
    }

    #[test]
    fn the_fields_stand_beside_those_of_the_service_whatever_these_are() {
        for has_places in [false, true] {
            for response in responses() {
                let names = names();
                names.have_bodies.store(has_places, Ordering::Relaxed);
                let mut expected = response.clone();
                for (name, value) in names.all().zip(VALUES) {
                    expected.insert(name, HeaderValue::from_static(value));
                }
                let mut before = response.clone();
                before.insert(&X_RATELIMIT_LIMIT, HeaderValue::from_static("1"));
                before.insert("ratelimit-reset", HeaderValue::from_static("1"));
                for mut fields in [response, before] {
                    limit_fields(names).put_into(&mut fields);
                    assert_eq!(fields, expected);
                }
            }
        }
    }

    #[test]
    fn the_first_response_with_a_body_makes_room_for_what_later_ones_say_of_theirs() {
        let names = names();
        let tell = |said: Option<HeaderName>| {
            let value = HeaderValue::from_static("x");
            let mut fields: HeaderMap = said.map(|name| (name, value)).into_iter().collect();
            limit_fields(names).put_into(&mut fields);
            limit_fields(names).has_places
        };
        assert!(!tell(None) && !tell(Some(LOCATION)), "there was no body");
        assert!(tell(Some(CONTENT_TYPE)));
        assert!(tell(None), "once is enough");
    }
}
