//! How many units a request takes.

use http::HeaderName;
use rate_limit_tower::{RequestView, Rule};

use crate::configuration::{Cost, HeaderCost, MethodCost};

/// The rule, at that cost.
pub(super) fn cost(rule: Rule, cost: &Cost) -> Rule {
    match cost.clone() {
        Cost::Units(units) => rule.cost(units),
        Cost::Methods(MethodCost { methods, default }) => rule.cost_from(move |request| {
            let named = methods.iter().find(|(method, _)| method == request.method());
            named.map_or(default, |(_, units)| *units)
        }),
        Cost::Header(HeaderCost { header, default, min, max }) => rule.cost_from(move |request| {
            // A client that understates its cost is held to the least, whatever it writes.
            said(request, &header).unwrap_or(default).clamp(min, max.max(min))
        }),
    }
}

/// What a header field says, if it is there once and a number.
fn said(request: &RequestView<'_>, header: &HeaderName) -> Option<u64> {
    let mut values = request.headers().get_all(header).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let text = value.to_str().ok()?.trim();
    // `parse` would accept a sign.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More than a number holds is more than any limit holds.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}
