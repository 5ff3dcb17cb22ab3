//! One group of rules, of which at most one applies to a request.

use std::collections::HashMap;

use http::Method;
use matchit::Router;

use super::pattern::Pattern;
use crate::error::LayerError;
use crate::request_view::RequestView;
use crate::rule::{Kind, PathPattern, Rule};

/// The rules of one group, arranged by method.
pub(super) struct Group {
    methods: Box<[(Method, Paths)]>,
    /// For methods that no rule of the group names.
    others: Paths,
}

/// Which rule applies to which path, for one method.
#[derive(Default)]
struct Paths {
    routes: HashMap<Box<str>, usize>,
    /// More than one only if patterns overlap in a way that `matchit` does not resolve.
    routers: Vec<Router<Ranked>>,
    anywhere: Option<usize>,
    unmatched: Option<usize>,
}

/// A rule and how specific the pattern was: 0 is the most specific one.
#[derive(Clone, Copy)]
struct Ranked {
    rank: usize,
    rule: usize,
}

impl Group {
    /// Arranges the rules of one group, given with their places.
    pub(super) fn new(rules: &[(usize, &Rule)]) -> Result<Self, LayerError> {
        let mut named: Vec<Method> = Vec::new();
        for method in rules.iter().flat_map(|(_, rule)| rule.methods.iter().flatten()) {
            if !named.contains(method) {
                named.push(method.clone());
            }
        }
        // HEAD counts as GET for rules that do not name it.
        if named.contains(&Method::GET) && !named.contains(&Method::HEAD) {
            named.push(Method::HEAD);
        }
        let others = Paths::new(rules, None)?;
        let methods: Result<_, LayerError> = named
            .into_iter()
            .map(|method| Ok((method.clone(), Paths::new(rules, Some(&method))?)))
            .collect();
        Ok(Self { methods: methods?, others })
    }

    /// The rule that applies to a request.
    pub(super) fn matching(&self, request: &RequestView<'_>) -> Option<usize> {
        let named = self.methods.iter().find(|(method, _)| method == request.method());
        named.map_or(&self.others, |(_, paths)| paths).matching(request)
    }
}

impl Paths {
    fn new(rules: &[(usize, &Rule)], method: Option<&Method>) -> Result<Self, LayerError> {
        let mut claims = Claims { method, taken: HashMap::new() };
        let mut patterns = Vec::new();
        for &(place, rule) in rules {
            let Some(precision) = precision(rule, method) else {
                continue;
            };
            let claimant = Claimant { place, rule, precision };
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
                for pattern in Pattern::of(&rule.name, path)? {
                    claims.claim(Target::Shape(pattern.shape.clone()), claimant)?;
                    patterns.push(pattern);
                }
            }
        }
        let mut paths = Self::default();
        patterns.sort_by_cached_key(Pattern::specificity);
        for (rank, pattern) in patterns.into_iter().enumerate() {
            if let Some(claimant) = claims.taken.remove(&Target::Shape(pattern.shape)) {
                paths.insert(&pattern.text, Ranked { rank, rule: claimant.place });
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
    fn insert(&mut self, pattern: &str, ranked: Ranked) {
        let mut routers = self.routers.iter_mut();
        if !routers.any(|router| router.insert(pattern, ranked).is_ok()) {
            let mut router = Router::new();
            // Every pattern was accepted by an empty router before.
            let _ = router.insert(pattern, ranked);
            self.routers.push(router);
        }
    }

    fn matching(&self, request: &RequestView<'_>) -> Option<usize> {
        let routed = || self.routes.get(crate::matched_path::of(request)?).copied();
        let matched = || {
            let path = request.path();
            let hits = self.routers.iter().filter_map(|router| router.at(path).ok());
            hits.map(|hit| *hit.value).min_by_key(|ranked| ranked.rank).map(|ranked| ranked.rule)
        };
        // Neither is asked for in vain: a group without paths never looks at one.
        let routed = if self.routes.is_empty() { None } else { routed() };
        let found = if self.routers.is_empty() { routed } else { routed.or_else(matched) };
        found.or(self.anywhere).or(self.unmatched)
    }
}

/// What a rule applies to, for one method.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Target {
    Route(String),
    Shape(String),
    Anywhere,
    Unmatched,
}

/// Who applies to what. Of several, the one that names the method more precisely.
struct Claims<'a> {
    method: Option<&'a Method>,
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
        let method = self.method.map_or("any method", Method::as_str);
        match target {
            Target::Route(path) | Target::Shape(path) => format!("{method} `{path}`"),
            Target::Anywhere => format!("{method} on any path"),
            Target::Unmatched => format!("{method} on unmatched paths"),
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
