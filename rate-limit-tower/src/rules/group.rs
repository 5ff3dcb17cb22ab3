//! One group of rules, of which at most one applies to a request.

use std::collections::{BTreeMap, HashMap, HashSet};

use http::Method;

use super::paths::{Found, Member, Paths, Scope, ranks};
use super::pattern::Pattern;
use crate::error::LayerError;
use crate::host::{HostPattern, domains_above};
use crate::request_view::RequestView;
use crate::rule::Rule;

/// The rules of one group, arranged by host.
pub(super) struct Group {
    exact: HashMap<Box<str>, Methods>,
    below: HashMap<Box<str>, Methods>,
    /// The rules that name no host.
    anywhere: Methods,
}

/// The rules of one group for the same hosts, arranged by method.
struct Methods {
    named: Box<[(Method, Paths)]>,
    /// For methods that no rule names.
    others: Paths,
}

impl Group {
    /// Arranges the rules of one group, given with their places.
    pub(super) fn new(rules: &[(usize, &Rule)]) -> Result<Self, LayerError> {
        let members: Result<Vec<Member<'_>>, LayerError> =
            rules.iter().map(|&(place, rule)| member(place, rule)).collect();
        let members = members?;
        let ranks = ranks(&members);
        let methods = |members: &[&Member<'_>], host: Option<&HostPattern>| {
            Methods::new(members, host, &ranks)
        };

        // In the order of their names, so that of several mistakes always the same one is reported.
        let mut by_host: BTreeMap<&HostPattern, Vec<&Member<'_>>> = BTreeMap::new();
        for member in &members {
            for host in &member.hosts {
                by_host.entry(host).or_default().push(member);
            }
        }
        let unnamed: Vec<_> = members.iter().filter(|member| member.hosts.is_empty()).collect();
        let mut group = Self {
            exact: HashMap::new(),
            below: HashMap::new(),
            anywhere: methods(&unnamed, None)?,
        };
        for (host, members) in by_host {
            let methods = methods(&members, Some(host))?;
            match host {
                HostPattern::Exact(name) => group.exact.insert(name.clone(), methods),
                HostPattern::Below(name) => group.below.insert(name.clone(), methods),
            };
        }
        Ok(group)
    }

    /// The rule that applies to a request.
    #[inline]
    pub(super) fn matching(&self, request: &RequestView<'_>) -> Option<usize> {
        let anywhere = self.anywhere.matching(request);
        // A group without hosts never looks at one.
        if self.exact.is_empty() && self.below.is_empty() {
            return Some(anywhere?.rule);
        }
        // The more specific path wins, and of two rules for one path the one that names a host,
        // because it comes first.
        let named = self.matching_host(request);
        let found = named.into_iter().chain(anywhere).min_by_key(|found| found.precision)?;
        Some(found.rule)
    }

    fn matching_host(&self, request: &RequestView<'_>) -> Option<Found> {
        let host = request.host()?;
        let exact = self.exact.get(&*host).into_iter();
        let below = domains_above(&host).filter_map(|domain| self.below.get(domain));
        // Of several that are as precise, the first one is kept: that of the nearest host.
        exact
            .chain(below)
            .filter_map(|methods| methods.matching(request))
            .min_by_key(|found| found.precision)
    }
}

/// The paths that a rule matches, without the names of their parameters. The target `*` is none.
pub(crate) fn shapes(rule: &Rule) -> Result<Vec<String>, LayerError> {
    let shapes = member(0, rule)?.patterns.into_iter().map(|pattern| pattern.shape);
    Ok(shapes.filter(|shape| shape != "*").collect())
}

/// A rule with what it names, read once for all tables that it is part of.
fn member(place: usize, rule: &Rule) -> Result<Member<'_>, LayerError> {
    let mut patterns = Vec::with_capacity(rule.paths.len());
    for path in &rule.paths {
        patterns.extend(Pattern::of(&rule.name, path)?);
    }
    let mut hosts: Vec<&HostPattern> = Vec::with_capacity(rule.hosts.len());
    for host in &rule.hosts {
        let refused =
            |host: &String| LayerError::Host { rule: rule.name.clone(), host: host.clone() };
        let host = host.as_ref().map_err(refused)?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(Member { place, rule, hosts, patterns })
}

impl Methods {
    fn new(
        members: &[&Member<'_>],
        host: Option<&HostPattern>,
        ranks: &HashMap<&str, usize>,
    ) -> Result<Self, LayerError> {
        let mut known = HashSet::new();
        let named = members.iter().flat_map(|member| member.rule.methods.iter().flatten());
        let mut named: Vec<Method> =
            named.filter(|method| known.insert(*method)).cloned().collect();
        // HEAD counts as GET for rules that do not name it.
        if known.contains(&Method::GET) && !known.contains(&Method::HEAD) {
            named.push(Method::HEAD);
        }
        let others = Paths::new(members, Scope { method: None, host }, ranks)?;
        let with_paths = |method: Method| {
            let scope = Scope { method: Some(&method), host };
            let paths = Paths::new(members, scope, ranks)?;
            Ok((method, paths))
        };
        let named: Result<_, LayerError> = named.into_iter().map(with_paths).collect();
        Ok(Self { named: named?, others })
    }

    #[inline]
    fn matching(&self, request: &RequestView<'_>) -> Option<Found> {
        let named = self.named.iter().find(|(method, _)| method == request.method());
        named.map_or(&self.others, |(_, paths)| paths).matching(request)
    }
}
