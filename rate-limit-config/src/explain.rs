//! What the rules mean, in plain words.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::{Algorithm, Alignment, FailureMode, PenaltyLadder, RateLimitPolicy};

use crate::configuration::{
    Configuration, Cost, CountedResponses, Enforcement, KeyPart, PathMatch, RuleSettings,
};
use crate::words;

/// One line for each rule, and below it what else is to be known.
pub(crate) fn explain(configuration: &Configuration) -> String {
    let mut text = String::new();
    for rule in &configuration.rules {
        let limits = limits(&rule.limits, Some(&key(&rule.key)));
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{}: {limits}", rule.name);
        for line in details(rule) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// `5 per minute per ip, then 1 every 12 s`.
fn limits(policies: &[Arc<RateLimitPolicy>], key: Option<&str>) -> String {
    let key = key.map(|key| format!(" {key}")).unwrap_or_default();
    if let [policy] = policies {
        return format!("{}{key}{}", words::rate(policy), manner(policy));
    }
    let each: Vec<String> = policies
        .iter()
        .map(|policy| {
            let manner = manner(policy);
            let manner = manner.strip_prefix(", ").map(|manner| format!(" ({manner})"));
            format!("{}{}", words::rate(policy), manner.unwrap_or_default())
        })
        .collect();
    format!("{}{key}", each.join(" and "))
}

/// How the units come: at once, then one by one, or by the window.
fn manner(policy: &RateLimitPolicy) -> String {
    match policy.algorithm() {
        Algorithm::TokenBucket(bucket) => {
            let every = words::about(Duration::from_nanos(bucket.interval_nanos()));
            if bucket.burst() == policy.limit() {
                return format!(", then 1 every {every}");
            }
            format!(", at most {} at once, then 1 every {every}", bucket.burst())
        }
        Algorithm::FixedWindow(window) => match window.alignment() {
            Alignment::FirstRequest => ", in a window that begins with the first".to_owned(),
            Alignment::Utc => ", in a window of the clock in UTC".to_owned(),
        },
        Algorithm::SlidingWindow(_) => ", in a sliding window".to_owned(),
        Algorithm::SlidingLog(_) => ", in any interval of that length".to_owned(),
        // One that did not exist when this was written; the rate alone is true of it as well.
        _ => String::new(),
    }
}

fn key(parts: &[KeyPart]) -> String {
    if parts == [KeyPart::Global] {
        return "for all together".to_owned();
    }
    let parts: Vec<String> = parts
        .iter()
        .map(|part| match part {
            KeyPart::ApiKey => "API key".to_owned(),
            KeyPart::Claim(name) => format!("claim {name}"),
            KeyPart::Global => "everybody".to_owned(),
            KeyPart::Header(name) => format!("header {name}"),
            KeyPart::Ip => "ip".to_owned(),
            KeyPart::Path => "path".to_owned(),
            KeyPart::Tenant => "tenant".to_owned(),
            KeyPart::User => "user".to_owned(),
        })
        .collect();
    format!("per {}", parts.join(" and "))
}

fn details(rule: &RuleSettings) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(scope(rule));
    if !rule.group.is_empty() {
        lines.push(format!("in group {}", rule.group));
    }
    match rule.enforcement {
        Enforcement::Everybody => {}
        Enforcement::Nobody => lines.push("in shadow mode: it turns nobody away".to_owned()),
        Enforcement::Percent(percent) => {
            lines.push(format!("enforced for {percent} % of all identities"));
        }
    }
    match &rule.cost {
        Cost::Units(1) => {}
        Cost::Units(units) => lines.push(format!("each request takes {units} units")),
        Cost::Header(cost) => lines.push(format!(
            "each request takes as many units as header {} says, {} to {}, or else {}",
            cost.header, cost.min, cost.max, cost.default,
        )),
        Cost::Methods(cost) => {
            let named = cost.methods.iter().map(|(method, units)| format!("{method} {units}"));
            let each: Vec<String> = named.chain([format!("any other {}", cost.default)]).collect();
            lines.push(format!("units by method: {}", each.join(", ")));
        }
    }
    if rule.count == CountedResponses::Failures {
        lines.push("counts only requests whose response is not a success".to_owned());
    }
    for (tier, policies) in &rule.tiers {
        lines.push(format!("tier {tier}: {}", limits(policies, None)));
    }
    let terms = rule.limits.first();
    if let Some(ladder) = terms.and_then(|policy| policy.penalty()) {
        lines.push(penalty(ladder));
    }
    if let Some(mode) = terms.and_then(|policy| without_store(policy.failure_mode())) {
        lines.push(format!("while the store is away: {mode}"));
    }
    lines
}

/// Which requests the rule is for; nothing if it is for all.
fn scope(rule: &RuleSettings) -> Option<String> {
    let mut words = Vec::new();
    if !rule.methods.is_empty() {
        let methods: Vec<&str> = rule.methods.iter().map(http::Method::as_str).collect();
        words.push(methods.join(", "));
    }
    if !rule.paths.is_empty() {
        let paths: Vec<String> = rule
            .paths
            .iter()
            .map(|path| match path {
                PathMatch::Pattern(pattern) => pattern.clone(),
                PathMatch::Prefix(prefix) => format!("{prefix} and all below it"),
            })
            .collect();
        words.push(format!("on {}", paths.join(", ")));
    }
    if !rule.hosts.is_empty() {
        words.push(format!("of {}", rule.hosts.join(", ")));
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn penalty(ladder: &PenaltyLadder) -> String {
    format!(
        "after {} denials within {} a ban of {}, each further one {} times as long, at most {}; one \
         step back for every {} without",
        ladder.strikes(),
        words::length(ladder.within()),
        words::length(ladder.first()),
        ladder.factor(),
        words::length(ladder.max()),
        words::length(ladder.decay()),
    )
}

/// What is not the default.
const fn without_store(mode: FailureMode) -> Option<&'static str> {
    match mode {
        FailureMode::Local => None,
        FailureMode::Allow => Some("the whole limit in each process, then 503"),
        FailureMode::AllowUnlimited => Some("no limit at all"),
        FailureMode::Deny => Some("503 for all"),
    }
}
