//! Which rule of a group applies to which path, for one method and host.

use std::collections::HashMap;

use http::Method;
use matchit::Router;

use super::pattern::{Pattern, Segment};
use crate::error::LayerError;
use crate::host::HostPattern;
use crate::request_view::RequestView;
use crate::rule::{Kind, PathPattern, Rule};

/// A rule of a group, with what it names.
pub(super) struct Member<'a> {
    pub(super) place: usize,
    pub(super) rule: &'a Rule,
    pub(super) hosts: Vec<&'a HostPattern>,
    pub(super) patterns: Vec<Pattern>,
}

/// Which requests a table is for.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// `None` for all methods that no rule names.
    pub(super) method: Option<&'a Method>,
    /// `None` for the rules that name no host.
    pub(super) host: Option<&'a HostPattern>,
}

/// The rules of one scope.
#[derive(Default)]
pub(super) struct Paths {
    routes: HashMap<Box<str>, usize>,
    /// More than one only if patterns overlap in a way that `matchit` does not resolve.
    routers: Vec<Router<Found>>,
    anywhere: Option<usize>,
    unmatched: Option<usize>,
}

/// A rule that applies, and how precisely it names the path. The most precise one is the least.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) precision: Precision,
    pub(super) rule: usize,
}

/// How precisely a rule names a path.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Precision {
    /// By the route that axum has matched.
    Route,
    /// By the pattern with this rank in its group.
    Pattern(usize),
    /// Not at all.
    Anywhere,
    /// By what is left over.
    Unmatched,
}

/// How specific the patterns of a group are, by their shapes: 0 is the most specific one.
pub(super) fn ranks<'a>(members: &'a [Member<'_>]) -> HashMap<&'a str, usize> {
    let patterns = members.iter().flat_map(|member| &member.patterns);
    let mut ordered: Vec<(Vec<Segment>, &str)> =
        patterns.map(|pattern| (pattern.specificity(), &*pattern.shape)).collect();
    // Stable, so that of two patterns that are as specific the first one wins.
    ordered.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut ranks = HashMap::with_capacity(ordered.len());
    for (_, shape) in ordered {
        let rank = ranks.len();
        ranks.entry(shape).or_insert(rank);
    }
    ranks
}

impl Paths {
    pub(super) fn new(
        members: &[&Member<'_>],
        scope: Scope<'_>,
        ranks: &HashMap<&str, usize>,
    ) -> Result<Self, LayerError> {
        let mut claims = Claims { scope, taken: HashMap::new() };
        let mut patterns = Vec::new();
        for &Member { place, rule, patterns: named, .. } in members {
            let Some(precision) = precision(rule, scope.method) else {
                continue;
            };
            let claimant = Claimant { place: *place, rule, precision };
            if rule.paths.is_empty() {
                let target = match rule.kind {
                    Kind::Unmatched => Target::Unmatched,
                    Kind::Named | Kind::Shortcut => Target::Anywhere,
                };
                claims.claim(target, claimant)?;
            }
            for path in &rule.paths {
                if let PathPattern::Matched(route) = path {
                    claims.claim(Target::Route(route.clone()), claimant)?;
                }
            }
            for pattern in named {
                claims.claim(Target::Shape(pattern.shape.clone()), claimant)?;
                patterns.push((ranks.get(&*pattern.shape).copied().unwrap_or(usize::MAX), pattern));
            }
        }
        let mut paths = Self::default();
        patterns.sort_by_key(|(rank, _)| *rank);
        for (rank, pattern) in patterns {
            if let Some(claimant) = claims.taken.remove(&Target::Shape(pattern.shape.clone())) {
                let precision = Precision::Pattern(rank);
                paths.insert(&pattern.text, Found { precision, rule: claimant.place });
            }
        }
        for (target, claimant) in claims.taken {
            match target {
                Target::Route(route) => {
                    paths.routes.insert(route.into(), claimant.place);
                }
                Target::Anywhere => paths.anywhere = Some(claimant.place),
                Target::Unmatched => paths.unmatched = Some(claimant.place),
                Target::Shape(_) => {}
            }
        }
        Ok(paths)
    }

    /// A pattern that conflicts with those of one router goes into the next.
    fn insert(&mut self, pattern: &str, found: Found) {
        let mut routers = self.routers.iter_mut();
        if !routers.any(|router| router.insert(pattern, found).is_ok()) {
            let mut router = Router::new();
            // Every pattern was accepted by an empty router before.
            let _ = router.insert(pattern, found);
            self.routers.push(router);
        }
    }

    /// The rule that applies to a request.
    #[inline]
    pub(super) fn matching(&self, request: &RequestView<'_>) -> Option<Found> {
        let found = |precision| move |rule| Found { precision, rule };
        // A group without paths never looks at one.
        let names_paths = !self.routes.is_empty() || !self.routers.is_empty();
        let named = if names_paths { self.matching_path(request) } else { None };
        named
            .or_else(|| self.anywhere.map(found(Precision::Anywhere)))
            .or_else(|| self.unmatched.map(found(Precision::Unmatched)))
    }

    fn matching_path(&self, request: &RequestView<'_>) -> Option<Found> {
        let routed = || {
            let rule = *self.routes.get(crate::matched_path::of(request)?)?;
            Some(Found { precision: Precision::Route, rule })
        };
        let matched = || {
            let path = request.path();
            let hits = self.routers.iter().filter_map(|router| router.at(path).ok());
            hits.map(|hit| *hit.value).min_by_key(|found| found.precision)
        };
        // Neither is asked for in vain.
        let routed = if self.routes.is_empty() { None } else { routed() };
        if self.routers.is_empty() { routed } else { routed.or_else(matched) }
    }
}

/// What a rule applies to, within one scope.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Target {
    Route(String),
    Shape(String),
    Anywhere,
    Unmatched,
}

/// Who applies to what. Of several, the one that names the method more precisely.
struct Claims<'a> {
    scope: Scope<'a>,
    taken: HashMap<Target, Claimant<'a>>,
}

#[derive(Clone, Copy)]
struct Claimant<'a> {
    place: usize,
    rule: &'a Rule,
    precision: u8,
}

impl<'a> Claims<'a> {
    fn claim(&mut self, target: Target, claimant: Claimant<'a>) -> Result<(), LayerError> {
        if let Some(holder) = self.taken.get(&target) {
            if holder.precision == claimant.precision && holder.place != claimant.place {
                return Err(LayerError::AmbiguousRules {
                    first: holder.rule.name.clone(),
                    second: claimant.rule.name.clone(),
                    requests: self.requests(&target),
                });
            }
            if holder.precision >= claimant.precision {
                return Ok(());
            }
        }
        self.taken.insert(target, claimant);
        Ok(())
    }

    /// The requests that two rules claim.
    fn requests(&self, target: &Target) -> String {
        let method = self.scope.method.map_or("any method", Method::as_str);
        let requests = match target {
            Target::Route(path) | Target::Shape(path) => format!("{method} `{path}`"),
            Target::Anywhere => format!("{method} on any path"),
            Target::Unmatched => format!("{method} on unmatched paths"),
        };
        match self.scope.host {
            Some(host) => format!("{requests} of host `{host}`"),
            None => requests,
        }
    }
}

/// How precisely a rule names a method; `None` if it does not apply to it. No method stands for all
/// that no rule names.
fn precision(rule: &Rule, method: Option<&Method>) -> Option<u8> {
    match (&rule.methods, method) {
        (None, _) => Some(0),
        (Some(_), None) => None,
        (Some(named), Some(method)) if named.contains(method) => Some(2),
        (Some(named), Some(&Method::HEAD)) if named.contains(&Method::GET) => Some(1),
        _ => None,
    }
}
