//! The sections `tiers.NAME`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rate_limit_core::RateLimitPolicy;

use super::limits::limits;
use super::rules::ReadRule;
use super::{cost, given};
use crate::configuration::IdentitySettings;
use crate::document::{LimitValue, Name};
use crate::problem::Flaw;
use crate::read::{Key, Located, Map, OneOrMany, closest};
use crate::source::{Place, Source};

/// Gives the rules the limits of their tiers; returns the names of these.
pub(super) fn tiers(
    section: Option<Located<Map<Map<OneOrMany<LimitValue>>>>>,
    rules: &mut [ReadRule],
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let sections = given(section).map(|map| map.entries).unwrap_or_default();
    // The rule of each name; of several, which were noted, the last one.
    let places: HashMap<String, usize> =
        rules.iter().enumerate().map(|(at, rule)| (rule.settings.name.clone(), at)).collect();
    for (tier, of_rules) in sections {
        let key = key.named(&tier.value);
        if of_rules.value.entries.is_empty() && of_rules.value.is_whole {
            let message = "this tier names no rule; expected at least one, such as `login = \
                           \"100/min\"`";
            source.refuse(&tier.place, key, Flaw::new(message));
        }
        for (rule, values) in of_rules.value.entries {
            let key = key.named(&rule.value);
            let found = places.get(&rule.value).and_then(|at| rules.get_mut(*at));
            let Some(found) = found else {
                let known = || rules.iter().map(|rule| rule.settings.name.as_str());
                // Comparing is not for free: nobody reads so many messages, and files may be long.
                let meant = source.tells_more().then(|| closest(&rule.value, known())).flatten();
                let meant = meant.map(|name| format!("`{name}`"));
                source.refuse(
                    &rule.place,
                    key,
                    Flaw::new("there is no rule of this name").meant(meant),
                );
                continue;
            };
            let replaced = limits(&values.value, &found.terms, &key, source);
            cost::check_fits(&found.settings.cost, &replaced, &values.place, &key, source);
            warn_of_other_buckets(found, &replaced, &values.place, &key, source);
            found.settings.tiers.insert(tier.value.clone(), replaced);
        }
        names.insert(tier.value);
    }
    names
}

/// A limit that counts in another way, or in windows of another length, counts elsewhere.
fn warn_of_other_buckets(
    rule: &ReadRule,
    replaced: &[Arc<RateLimitPolicy>],
    place: &Place,
    key: &Key<'_>,
    source: &mut Source<'_>,
) {
    let own = &rule.settings.limits;
    let is_in = |limits: &[Arc<RateLimitPolicy>], one: &RateLimitPolicy| {
        limits.iter().any(|limit| limit.bucket_name() == one.bucket_name())
    };
    // Only those that stand for each other: a tier may also have more limits than the rule, or fewer.
    let other =
        own.iter().zip(replaced).find(|(one, other)| !is_in(replaced, one) && !is_in(own, other));
    if let Some((one, _)) = other {
        let message = format!(
            "the limit `{}` has another algorithm, window or name in this tier, so whoever changes to \
             it starts anew",
            one.name(),
        );
        source.warn(place, key, Flaw::new(message));
    }
}

/// Tiers are of use only to somebody who can have one.
pub(super) fn check_use(
    tiers: &BTreeSet<String>,
    default: Option<&Located<Name>>,
    identity: &IdentitySettings,
    source: &mut Source<'_>,
) {
    if let Some(Located { place, value: Name(tier) }) = default
        && !tiers.contains(tier)
    {
        let meant = closest(tier, tiers.iter().map(String::as_str)).map(|name| format!("{name:?}"));
        let flaw =
            Flaw::new("there is no tier of this name").value(format!("{tier:?}")).meant(meant);
        source.refuse(place, "identity.default_tier", flaw);
    }
    if !tiers.is_empty() && !identity.knows_clients() && default.is_none() {
        let message = "nobody is of any tier; expected `[identity.jwt]`, whose tokens name tiers, or \
                       `verified_by = \"program\"` in `[identity]`";
        source.refuse(&Place::File, "tiers", Flaw::new(message));
    }
}
