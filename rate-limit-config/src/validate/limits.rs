//! The limits of a rule, its own or those of a tier.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::{
    Alignment, FailureMode, Mode, PenaltyLadder, PolicyError, RateLimitPolicy,
    RateLimitPolicyBuilder,
};

use crate::document::{AlgorithmWord, LimitSection, LimitValue, Period};
use crate::problem::Flaw;
use crate::read::{Key, Located, OneOrMany};
use crate::source::{Place, Source};
use crate::words;

/// The most limits of one rule. All of them are charged by every request, and each is compared with
/// all others here.
const MAX_LIMITS: usize = 16;

/// What all limits of a rule have in common.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) rule: String,
    pub(super) mode: Mode,
    pub(super) on_failure: FailureMode,
    pub(super) penalty: Option<PenaltyLadder>,
}

/// The policies of a rule, or of a tier for it.
///
/// The first one has the name of the rule, and each further one its window behind that, unless the
/// file names them: so that a limit keeps its name, and hence its counters, when its number changes,
/// when others are added behind it, and in every tier.
pub(super) fn limits(
    values: &OneOrMany<LimitValue>,
    terms: &Terms,
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> Vec<Arc<RateLimitPolicy>> {
    if let Some(limit) = values.0.get(MAX_LIMITS) {
        let message =
            format!("this is one limit too many; expected at most {MAX_LIMITS} in a rule");
        source.refuse(&limit.place, key, Flaw::new(message));
        return Vec::new();
    }
    let is_alone = values.0.len() == 1;
    let mut names = HashMap::new();
    let mut policies: Vec<(&Place, Arc<RateLimitPolicy>)> = Vec::with_capacity(values.0.len());
    for (index, limit) in values.0.iter().enumerate() {
        let key = if is_alone { *key } else { key.item(index) };
        let Some((builder, window)) = builder(&limit.value, &limit.place, &key, source) else {
            continue;
        };
        let name = match limit.value.name() {
            Some(name) => format!("{}:{}", terms.rule, name.value.0),
            None if index == 0 => terms.rule.clone(),
            None => format!("{}:{}", terms.rule, words::length(window)),
        };
        if let Some(other) = names.insert(name.clone(), index) {
            let message = format!(
                "this limit and number {} are both called `{name}`; expected a `name` for one of them",
                other + 1,
            );
            source.refuse(&limit.place, key, Flaw::new(message));
            continue;
        }
        let mut builder = builder.named(name.clone()).on_failure(terms.on_failure);
        if let Some(ladder) = terms.penalty {
            builder = builder.penalty(ladder);
        }
        if terms.mode == Mode::Shadow {
            builder = builder.shadow();
        }
        match builder.build() {
            Ok(policy) => policies.push((&limit.place, Arc::new(policy))),
            Err(error) => refuse(&error, limit, &name, &key, source),
        }
    }
    warn_of_looser(&policies, key, source);
    policies.into_iter().map(|(_, policy)| policy).collect()
}

fn builder(
    limit: &LimitValue,
    place: &Place,
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> Option<(RateLimitPolicyBuilder, Duration)> {
    match limit {
        LimitValue::Short(short) => {
            Some((RateLimitPolicy::per(short.units, short.window), short.window))
        }
        LimitValue::Table(table) => of_table(table, place, key, source),
    }
}

fn of_table(
    table: &LimitSection,
    place: &Place,
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> Option<(RateLimitPolicyBuilder, Duration)> {
    let Period(window) = table.window.as_ref()?.value;
    let mut builder = RateLimitPolicy::per(table.limit.as_ref()?.value.0, window);
    let algorithm =
        table.algorithm.as_ref().map_or(AlgorithmWord::TokenBucket, |word| word.value.0);
    let alignment = table.alignment.as_ref().map(|alignment| alignment.value.0);
    builder = match (algorithm, alignment) {
        (AlgorithmWord::FixedWindow, Some(Alignment::Utc)) => builder.aligned_window(),
        (AlgorithmWord::FixedWindow, _) => builder.fixed_window(),
        (_, Some(_)) => {
            let message = "only a fixed window has an alignment; expected `algorithm = \
                           \"fixed_window\"` beside it";
            let place = table.alignment.as_ref().map_or(place, |alignment| &alignment.place);
            source.refuse(place, key.named("alignment"), Flaw::new(message));
            return None;
        }
        (AlgorithmWord::SlidingLog, None) => builder.sliding_log(),
        (AlgorithmWord::SlidingWindow, None) => builder.sliding_window(),
        (AlgorithmWord::TokenBucket, None) => builder.token_bucket(),
    };
    if let Some(burst) = &table.burst {
        builder = builder.burst(burst.value.0);
    }
    Some((builder, window))
}

/// Says what the core says, where the refused value stands.
fn refuse(
    error: &PolicyError,
    limit: &Located<LimitValue>,
    name: &str,
    key: &Key<'_>,
    source: &mut Source<'_>,
) {
    let text = error.to_string();
    let message = text.strip_prefix(&format!("policy `{name}`: ")).unwrap_or(&text);
    let LimitValue::Table(table) = &limit.value else {
        return source.refuse(&limit.place, key, Flaw::new(message));
    };
    let (field, place) = match error {
        PolicyError::AlignedWindow { .. } | PolicyError::Window { .. } => {
            ("window", table.window.as_ref().map(|window| &window.place))
        }
        PolicyError::Burst { .. }
        | PolicyError::BurstWithoutTokenBucket { .. }
        | PolicyError::TimeToFull { .. } => {
            ("burst", table.burst.as_ref().map(|burst| &burst.place))
        }
        PolicyError::Name { .. } => ("name", table.name.as_ref().map(|name| &name.place)),
        _ => ("limit", table.limit.as_ref().map(|limit| &limit.place)),
    };
    source.refuse(place.unwrap_or(&limit.place), key.named(field), Flaw::new(message));
}

/// A longer window that allows as much per unit of time as a shorter one has hardly anything to say,
/// unless it holds less at once.
fn warn_of_looser(
    policies: &[(&Place, Arc<RateLimitPolicy>)],
    key: &Key<'_>,
    source: &mut Source<'_>,
) {
    for (index, (place, policy)) in policies.iter().enumerate() {
        let in_that_time = |shorter: &RateLimitPolicy| {
            u128::from(shorter.limit()) * policy.window().as_nanos()
                / shorter.window().as_nanos().max(1)
        };
        let tighter = policies.iter().enumerate().find(|(other, (_, shorter))| {
            let is_shorter = shorter.window() < policy.window()
                || (shorter.window() == policy.window() && *other < index);
            is_shorter
                && u128::from(policy.limit()) >= in_that_time(shorter)
                && policy.capacity() >= shorter.capacity()
        });
        if let Some((_, (_, shorter))) = tighter {
            let message = format!(
                "{} hardly ever decide, because {} come to {} in that time",
                words::rate(policy),
                words::rate(shorter),
                in_that_time(shorter),
            );
            source.warn(place, key, Flaw::new(message));
        }
    }
}
