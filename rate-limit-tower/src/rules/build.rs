//! From the rules that somebody wrote to rules that are ready for requests.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use rate_limit_core::{ClientIdentity, IpPrefixes, PolicyName, RateLimitPolicy};

use super::group::Group;
use super::{ReadyRule, Rules};
use crate::error::LayerError;
use crate::headers::PolicyList;
use crate::rule::{Kind, PathPattern, RequestPredicate, Rule};

/// Checks the rules and arranges them.
pub(crate) fn build(
    rules: Vec<Rule>,
    ip_prefixes: IpPrefixes,
    exempts: Vec<Box<RequestPredicate>>,
    blocks: Vec<Box<RequestPredicate>>,
    exempt_identities: Vec<ClientIdentity>,
) -> Result<Rules, LayerError> {
    if let Some(refused) = rules.iter().find_map(|rule| rule.refused.clone()) {
        return Err(refused.into());
    }
    if rules.is_empty() {
        return Err(LayerError::NoPolicy);
    }
    check_names(&rules)?;
    rules.iter().try_for_each(check)?;
    check_policies(&rules)?;
    let groups = grouped(&rules)?;
    let rules: Box<[ReadyRule]> = rules.into_iter().map(ready).collect();
    let is_always_the_same = groups.len() == rules.len();
    let policies = || rules.iter().flat_map(|rule| &rule.policies);
    Ok(Rules {
        have_lookups: rules.iter().any(|rule| !rule.lookups.is_empty()),
        have_exposures: rules.iter().any(|rule| rule.asks.exposure.is_some()),
        together: is_always_the_same.then(|| PolicyList::new(policies())).flatten(),
        rules,
        groups,
        ip_prefixes,
        exempts: exempts.into(),
        blocks: blocks.into(),
        exempt_identities: exempt_identities.into(),
    })
}

fn ready(rule: Rule) -> ReadyRule {
    let Rule { name, key, policies, asks, .. } = rule;
    let mut lookups = Vec::new();
    key.lookups(&mut lookups);
    ReadyRule {
        name: name.into(),
        list: PolicyList::new(policies.iter()),
        forms: policies.iter().map(|_| OnceLock::new()).collect(),
        asks,
        key,
        policies: policies.into(),
        lookups: lookups.into(),
    }
}

fn check_names(rules: &[Rule]) -> Result<(), LayerError> {
    let mut taken = HashSet::new();
    for rule in rules.iter().filter(|rule| rule.kind != Kind::Shortcut) {
        PolicyName::new(&rule.name)
            .map_err(|_| LayerError::RuleName { name: rule.name.clone() })?;
        // Each group may have a rule for what it does not match.
        let group = if rule.kind == Kind::Unmatched { rule.group.as_str() } else { "" };
        if !taken.insert((rule.kind == Kind::Unmatched, group, rule.name.as_str())) {
            return Err(LayerError::DuplicateRule { rule: rule.name.clone() });
        }
    }
    Ok(())
}

/// What can be wrong with a rule by itself.
fn check(rule: &Rule) -> Result<(), LayerError> {
    let name = || rule.name.clone();
    if let Some(refused) = rule.key.refused_name() {
        return Err(LayerError::HeaderName { rule: name(), name: refused.to_owned() });
    }
    if rule.policies.is_empty() && rule.asks.policies.is_none() && rule.asks.blocks.is_empty() {
        return Err(LayerError::RuleWithoutPolicy { rule: name() });
    }
    if rule.methods.as_ref().is_some_and(Vec::is_empty) {
        return Err(LayerError::UnreachableRule {
            rule: name(),
            reason: "it names no method".to_owned(),
            expected: "at least one, or no call of `.methods(..)` for all of them".to_owned(),
        });
    }
    if rule.kind == Kind::Unmatched && !rule.paths.is_empty() {
        return Err(LayerError::UnreachableRule {
            rule: name(),
            reason: "it names a path, but applies where no path matches".to_owned(),
            expected: "`Rule::new(..)` for a rule with a path".to_owned(),
        });
    }
    Ok(())
}

/// Two policies of one name on one key would count in the same buckets. Rules may share a policy,
/// which is then one and the same.
fn check_policies(rules: &[Rule]) -> Result<(), LayerError> {
    let mut by_name: HashMap<&str, Vec<(&Rule, &Arc<RateLimitPolicy>)>> = HashMap::new();
    for rule in rules {
        for policy in &rule.policies {
            let earlier = by_name.entry(policy.name().as_str()).or_default();
            let clashes = |&(other, same): &(&Rule, &Arc<RateLimitPolicy>)| {
                let is_shared = Arc::ptr_eq(policy, same) && !std::ptr::eq(rule, other);
                other.key.may_equal(&rule.key) && !is_shared
            };
            if earlier.iter().any(clashes) {
                let (policy, key) = (policy.name().to_string(), rule.key.to_string());
                return Err(LayerError::DuplicatePolicy { policy, key });
            }
            earlier.push((rule, policy));
        }
    }
    Ok(())
}

/// The groups, in the order in which they were first named.
fn grouped(rules: &[Rule]) -> Result<Box<[Group]>, LayerError> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<(usize, &Rule)>> = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let group = *places.entry(&rule.group).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(members) => members.push((place, rule)),
            None => groups.push(vec![(place, rule)]),
        }
    }
    groups
        .into_iter()
        .map(|members| {
            check_hidden(&members)?;
            Group::new(&members)
        })
        .collect()
}

/// Whether a rule narrows down neither methods nor hosts.
fn is_for_all(rule: &Rule) -> bool {
    rule.methods.is_none() && rule.hosts.is_empty()
}

/// A rule for all methods and hosts that names no path leaves nothing to one for the rest; one that
/// names every path, not even to those without a path.
fn check_hidden(members: &[(usize, &Rule)]) -> Result<(), LayerError> {
    let find = |is: fn(&Rule) -> bool| members.iter().map(|(_, rule)| *rule).find(|rule| is(rule));
    let names_every_path =
        find(|rule| is_for_all(rule) && rule.paths.iter().any(PathPattern::is_every_path));
    let without_path =
        find(|rule| rule.kind == Kind::Named && is_for_all(rule) && rule.paths.is_empty());
    let unmatched = find(|rule| rule.kind == Kind::Unmatched);
    let hidden = find(|rule| rule.kind == Kind::Named && rule.paths.is_empty());
    let (everything, hidden) = match (names_every_path, without_path) {
        (Some(everything), _) => (everything, hidden.or(unmatched)),
        (None, Some(everything)) => (everything, unmatched),
        (None, None) => return Ok(()),
    };
    hidden.map_or(Ok(()), |hidden| {
        Err(LayerError::UnreachableRule {
            rule: hidden.name.clone(),
            reason: format!("rule `{}` of its group matches every request", everything.name),
            expected: "a narrower path for that rule, or another group".to_owned(),
        })
    })
}
