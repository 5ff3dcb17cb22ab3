//! A question that brings its limit along: a fixed window from the first request on, in a bucket for
//! each tenant and key. The limit is no part of the bucket, so another one counts what was used.

use std::time::Duration;

use http::Request;
use rate_limit_config::Configuration;
use rate_limit_core::{ClientIdentity, FailureMode, IdentityError, RateLimitPolicy};
use rate_limit_tower::{Policies, Question};

use super::question::UNITS;
use crate::fields::{Flaw, Flaws, Object};

mod limits;

pub(crate) use limits::AdHocLimits;

/// What such a question says.
pub(super) const FIELDS: &[&str] = &["tenantId", "key", "limit", "windowSeconds", "cost"];

/// The rule under which such questions are counted and logged, and the name of their policy.
pub(crate) const RULE: &str = "ad-hoc";

/// The longest window: 366 days.
const MAX_WINDOW_SECONDS: u64 = 366 * 24 * 3_600;

/// The highest limit.
const MAX_LIMIT: u64 = u32::MAX as u64;

/// Units per second at most, over the whole window: beyond that, time is not counted exactly.
const MAX_PER_SECOND: u64 = 1_000_000;

/// Whose bucket, and which limit.
#[derive(Clone)]
struct AdHoc {
    identity: ClientIdentity,
    policies: Policies,
}

/// What a question in this form says.
pub(crate) fn question(
    object: &Object<'_>,
    configuration: &Configuration,
    flaws: &mut Flaws,
) -> Option<Question> {
    let on_failure = configuration.store.on_failure;
    let cost = object.whole("cost", UNITS, flaws);
    let asked = asked(object, on_failure, flaws)?;
    let mut head = Request::new(());
    head.extensions_mut().insert(asked);
    let question = Question::new(RULE, head);
    Some(match cost {
        Some(units) => question.cost(units),
        None => question,
    })
}

fn asked(object: &Object<'_>, on_failure: FailureMode, flaws: &mut Flaws) -> Option<AdHoc> {
    let tenant = object.text("tenantId", flaws);
    let key = object.text("key", flaws);
    let limit = object.whole("limit", 1..=MAX_LIMIT, flaws);
    let window = object.whole("windowSeconds", 1..=MAX_WINDOW_SECONDS, flaws);
    let tenant = tenant.or_else(|| object.missing("tenantId", "a tenant", flaws));
    let key = key.or_else(|| object.missing("key", "what is limited", flaws));
    let limit = limit.or_else(|| object.missing("limit", "a whole number of units", flaws));
    let window =
        window.or_else(|| object.missing("windowSeconds", "a whole number of seconds", flaws));
    let (tenant, key, limit, window) = (tenant?, key?, limit?, window?);
    let most = window.saturating_mul(MAX_PER_SECOND);
    if limit > most {
        let expected =
            format!("at most {MAX_PER_SECOND} per second, which is {most} in {window} s");
        flaws.add(Flaw::of_value(object.at("limit"), &limit.into(), expected));
        return None;
    }

    let policy = RateLimitPolicy::per(limit, Duration::from_secs(window))
        .fixed_window()
        .named(RULE)
        .on_failure(on_failure);
    let policies =
        Policies::new([policy]).map_err(|error| flaws.add(Flaw::told(object.at("limit"), error)));
    let identity =
        identity(tenant, key).map_err(|error| flaws.add(Flaw::told(object.at("key"), error)));
    Some(AdHoc { identity: identity.ok()?, policies: policies.ok()? })
}

/// Composed and not joined, so that no two tenants share a bucket, whatever they write into keys.
fn identity(tenant: &str, key: &str) -> Result<ClientIdentity, IdentityError> {
    ClientIdentity::all_of(&[ClientIdentity::tenant(tenant)?, ClientIdentity::custom("key", key)?])
}
