//! The header fields of a response. Nowhere else in this crate is the name of one spelled.
//!
//! # Fields that were there before
//!
//! Fields are written as a whole: those of one decision, in place of all that an inner service had
//! written. A layer that exposes nothing removes them, unless another of these layers has written
//! them. Where layers are nested, those stay that are closer to exhaustion; and if the inner layer
//! turned the request away, its own do. A `Retry-After` of an inner service always stays: a layer
//! that lets a request pass has no wait to tell.

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use rate_limit_core::Decision;

use crate::quota::{self, Told};

mod draft;
mod forever;
mod grpc;
mod items;
mod limit_fields;
mod policy_list;
mod selection;
mod template;
mod value;

pub(crate) use grpc::{
    GRPC_MESSAGE, GRPC_RETRY_PUSHBACK_MS, GRPC_STATUS, GRPC_STATUS_DETAILS, GrpcProtocol,
    are_of_grpc, grpc_content_type,
};
pub(crate) use limit_fields::LimitFields;
use limit_fields::Names;
pub(crate) use policy_list::PolicyList;
use policy_list::Shown;
pub use selection::{DraftFields, HeaderFields, ResetFormat};
use template::Fields;
use value::number;

/// Names every field about limits once.
macro_rules! limit_fields {
    ($($name:ident = $text:literal),+ $(,)?) => {
        $(static $name: HeaderName = HeaderName::from_static($text);)+

        static LIMIT_FIELDS: [&HeaderName; 8] = [$(&$name),+];

        /// Every field that a layer may write and a script in a browser may want to read: the list
        /// for `Access-Control-Expose-Headers`.
        pub const EXPOSED_HEADERS: [HeaderName; 9] =
            [$(HeaderName::from_static($text),)+ RETRY_AFTER];
    };
}

limit_fields! {
    RATELIMIT = "ratelimit",
    RATELIMIT_LIMIT = "ratelimit-limit",
    RATELIMIT_POLICY = "ratelimit-policy",
    RATELIMIT_REMAINING = "ratelimit-remaining",
    RATELIMIT_RESET = "ratelimit-reset",
    X_RATELIMIT_LIMIT = "x-ratelimit-limit",
    X_RATELIMIT_REMAINING = "x-ratelimit-remaining",
    X_RATELIMIT_RESET = "x-ratelimit-reset",
}

// In places of their own, because tables are made of names that last.
static CACHING: HeaderName = CACHE_CONTROL;
static LENGTH: HeaderName = CONTENT_LENGTH;
static RETRY: HeaderName = RETRY_AFTER;
static TYPE: HeaderName = CONTENT_TYPE;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What a response tells about limits.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) decision: &'a Decision,
    pub(crate) told: Told,
    /// What was rendered beforehand; it is used if it lists the policies that decided.
    pub(crate) list: Option<&'a PolicyList>,
}

/// Writes the fields of the responses of one layer.
#[derive(Debug)]
pub(crate) struct FieldWriter {
    selection: HeaderFields,
    names: &'static Names,
    problem: HeaderMap,
}

impl FieldWriter {
    /// Writes the fields that are selected.
    pub(crate) fn new(selection: HeaderFields) -> Self {
        let names = Names::of(selection);
        let problem = [&TYPE, &CACHING, &RETRY].into_iter().chain(names.all());
        let problem = template::table(problem);
        Self { selection, names, problem }
    }

    /// What the client is told about its limits. `None` if no enforced policy was asked.
    #[inline]
    pub(crate) fn of_limits(&self, limits: Limits<'_>) -> Option<LimitFields> {
        let closest = limits.closest()?;
        Some(LimitFields::new(self.names, |values| self.write(values, limits, closest)))
    }

    /// The fields of a problem document, with the whole seconds after which to try again, if that
    /// helps, and the limits, if they are to be told.
    pub(crate) fn of_problem(
        &self,
        retry_after_seconds: Option<u64>,
        limits: Option<Limits<'_>>,
    ) -> HeaderMap {
        let told = limits.and_then(|limits| Some((limits, limits.closest()?)));
        if let (Some(seconds), Some((limits, closest))) = (retry_after_seconds, told) {
            return template::filled(&self.problem, |places| {
                places.put(&TYPE, PROBLEM);
                places.put(&CACHING, NO_STORE);
                places.put(&RETRY, number(seconds));
                self.write(places, limits, closest);
            });
        }
        let mut fields = HeaderMap::new();
        write_problem(&mut fields);
        write_no_store(&mut fields);
        if let Some(seconds) = retry_after_seconds {
            fields.put(&RETRY, number(seconds));
        }
        if let Some((limits, closest)) = told {
            self.write(&mut fields, limits, closest);
        }
        fields
    }

    /// In the order of the names.
    fn write(&self, fields: &mut impl Fields, limits: Limits<'_>, closest: Shown<'_>) {
        if let Some(reset) = self.selection.legacy {
            write_legacy(fields, closest, limits.told, reset);
        }
        draft::write(fields, limits, closest, self.selection.draft);
    }
}

impl<'a> Limits<'a> {
    /// The policy that is shown where there is room for one.
    fn closest(self) -> Option<Shown<'a>> {
        Some(Shown::of(self.decision.closest()?, self.list))
    }
}

/// Whether there are any fields about limits.
pub(crate) fn carry_limits(fields: &HeaderMap) -> bool {
    // A response has few fields, and comparing them with eight names is cheaper than hashing eight.
    fields.keys().any(|name| LIMIT_FIELDS.contains(&name))
}

/// Writes when to try again, unless that is there already.
pub(crate) fn write_retry_after(fields: &mut HeaderMap, seconds: u64) {
    fields.entry(RETRY_AFTER).or_insert_with(|| seconds.into());
}

/// Writes what the body of a rejection is.
pub(crate) fn write_problem(fields: &mut HeaderMap) {
    fields.insert(CONTENT_TYPE, PROBLEM);
}

/// Writes that nobody may keep the response, unless it says something else already.
pub(crate) fn write_no_store(fields: &mut HeaderMap) {
    fields.entry(CACHE_CONTROL).or_insert(NO_STORE);
}

/// Removes all fields about limits.
pub(crate) fn clear_limits(fields: &mut HeaderMap) {
    for name in LIMIT_FIELDS {
        fields.remove(name);
    }
}

fn write_legacy(fields: &mut impl Fields, closest: Shown<'_>, told: Told, reset: ResetFormat) {
    let reset = match reset {
        ResetFormat::EpochSeconds => told.reset_at_seconds(closest.one),
        ResetFormat::DeltaSeconds => told.reset_in_seconds(closest.one),
    };
    fields.put(&X_RATELIMIT_LIMIT, closest.capacity());
    fields.put(&X_RATELIMIT_REMAINING, number(quota::available(closest.one)));
    fields.put(&X_RATELIMIT_RESET, number(reset));
}

#[cfg(test)]
mod tests;
