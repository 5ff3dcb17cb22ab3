//! One rule: which requests, whose buckets, which policies.

use std::fmt;
use std::sync::Arc;

use http::Method;
use rate_limit_core::{ClientIdentity, PolicyError, RateLimitPolicy};

use crate::exposure::Exposure;
use crate::host::HostPattern;
use crate::into_policy::IntoPolicy;
use crate::key::Key;
use crate::policies::Policies;
use crate::request_view::RequestView;
use crate::response_view::ResponseView;

mod asks;

pub(crate) use asks::{Asks, Cost, Kind, PathPattern, RequestPredicate};
pub use asks::{MissingIdentity, Preflight};

/// Which requests are limited, whose buckets they charge, and under which policies.
///
/// # Which rule applies
///
/// Rules are in [groups](Self::group). Of each group, at most one rule applies to a request; rules
/// of different groups apply together. Within a group wins, in this order:
///
/// 1. the rule whose [`path`](Self::path) is most specific: segment by segment, text beats
///    `{parameter}`, and that beats `{*rest}`;
/// 2. of several rules for one path, the one whose [`host`](Self::host) is most specific;
/// 3. of several rules for one path and host, the one that names the request's method;
/// 4. a rule without a path, again with the most specific host first;
/// 5. the [`unmatched`](Self::unmatched) rule.
///
/// If none is left, the group says nothing about the request. A request about which no group says
/// anything passes, without any field.
///
/// Paths are compared in their [canonical form](crate::canonical_path()), with attention to case,
/// and as this layer sees them: inside a nested axum router, without its prefix. HEAD counts as
/// GET for rules that do not name it.
///
/// # Dot segments
///
/// Canonical paths have no `.` and `..` in them, but to routers such as axum's these are names like
/// any other: `/compute/../a` reaches the handler of `/compute/{*job}`. So if a path has any, the
/// rules for the form in which they stay apply together with those for the canonical one, be it the
/// one for unmatched requests. A rule for both counts once. Such a request is exempt only if it is
/// in both forms, blocked if it is in one, and costs as much as the dearer one. `matched_path` (with
/// the feature `axum`) asks the router itself.
///
/// # Example: sign-in, and everything else
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use http::Method;
/// use rate_limit_tower::{Key, RateLimitLayer, RateLimitPolicy, Rule};
///
/// let limit = RateLimitLayer::in_memory()
///     .rule(
///         Rule::new("login")
///             .methods([Method::POST])
///             .path("/login")
///             .key(Key::ip())
///             .policy(RateLimitPolicy::per_minute(5)),
///     )
///     .rule(Rule::unmatched().policy(RateLimitPolicy::per_minute(100)))
///     .build()?;
/// # }
/// # Ok::<(), rate_limit_tower::LayerError>(())
/// ```
#[must_use = "a rule does nothing until it is given to a layer"]
pub struct Rule {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) group: String,
    /// All of them if none were named.
    pub(crate) methods: Option<Vec<Method>>,
    pub(crate) paths: Vec<PathPattern>,
    /// All of them if none were named.
    pub(crate) hosts: Vec<Result<HostPattern, String>>,
    pub(crate) key: Key,
    pub(crate) policies: Vec<Arc<RateLimitPolicy>>,
    /// The first policy that cannot work.
    pub(crate) refused: Option<PolicyError>,
    pub(crate) asks: Asks,
}

impl Rule {
    /// The name of the rule for requests that match no other.
    pub const UNMATCHED: &'static str = "unmatched";

    /// A rule for all paths and methods, until it is told which. It charges the client's
    /// [address](Key::ip).
    ///
    /// The name, which is made of the same characters as that of a policy, labels what is reported
    /// about the rule. Its first policy gets this name if it has none.
    pub fn new(name: impl Into<String>) -> Self {
        Self::of_kind(Kind::Named, name.into(), String::new())
    }

    /// The rule for requests that match no other of its group. They are all counted together,
    /// whatever their paths, under the name [`unmatched`](Self::UNMATCHED): a bucket per key.
    pub fn unmatched() -> Self {
        Self::of_kind(Kind::Unmatched, Self::UNMATCHED.to_owned(), String::new())
    }

    /// A rule of the builder's, alone in a group.
    pub(crate) fn shortcut(index: usize, key: Key) -> Self {
        // No name that users can write contains a space, so the group stays alone.
        let group = format!("short cut {index}");
        Self::of_kind(Kind::Shortcut, key.to_string().replace(' ', "-"), group).key(key)
    }

    fn of_kind(kind: Kind, name: String, group: String) -> Self {
        Self {
            name,
            kind,
            group,
            methods: None,
            paths: Vec::new(),
            hosts: Vec::new(),
            key: Key::ip(),
            policies: Vec::new(),
            refused: None,
            asks: Asks::default(),
        }
    }

    /// Puts the rule into a group. Of each group one rule applies, so rules that should all apply
    /// belong in different ones, such as a limit per client and one for the whole system.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Only these methods.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.get_or_insert_default().extend(methods);
        self
    }

    /// Only this path, or one of several if called again. `{name}` stands for one segment, `{*name}`
    /// at the end for all the rest, which has at least one segment. See [dot
    /// segments](Self#dot-segments) for paths that have some.
    pub fn path(mut self, pattern: impl Into<String>) -> Self {
        self.paths.push(PathPattern::Path(pattern.into()));
        self
    }

    /// Only this path and everything below it: `/compute` covers `/compute` and `/compute/a/b`, but
    /// not `/computer`. `/` covers everything, the target `*` included.
    pub fn path_prefix(mut self, path: impl Into<String>) -> Self {
        self.paths.push(PathPattern::Prefix(path.into()));
        self
    }

    /// Only what axum has routed to this route, word by word, such as `/users/{id}`.
    ///
    /// Matches nothing if the layer wraps the whole router, because then it is asked before.
    #[cfg(feature = "axum")]
    #[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
    pub fn matched_path(mut self, route: impl Into<String>) -> Self {
        self.paths.push(PathPattern::Matched(route.into()));
        self
    }

    /// Only this host, or one of several if called again. `*.example.com` stands for every host below
    /// `example.com`, but not for that one itself.
    ///
    /// The host is the authority of the request's target or else its `Host` field, compared without
    /// its port and without attention to case. A client can write there what it likes: add a rule
    /// without a host for services that answer whatever it says.
    pub fn host(mut self, host: impl AsRef<str>) -> Self {
        self.hosts.push(HostPattern::parse(host.as_ref()));
        self
    }

    /// What the paths look like that the rule matches: its patterns without the names of their
    /// parameters. Two rules of a group that share a shape, a host and a method are
    /// [ambiguous](crate::LayerError::AmbiguousRules).
    ///
    /// # Errors
    ///
    /// If a path or a host of the rule cannot work, which [`build`] would refuse too.
    ///
    /// # Example: a check before there is any layer
    ///
    /// ```
    /// use rate_limit_tower::Rule;
    ///
    /// assert_eq!(Rule::new("user").path("/users/{id}").shapes()?, ["/users/{}"]);
    /// assert!(Rule::new("typo").path("//users").shapes().is_err());
    /// # Ok::<(), rate_limit_tower::LayerError>(())
    /// ```
    ///
    /// [`build`]: crate::RateLimitLayerBuilder::build
    pub fn shapes(&self) -> Result<Vec<String>, crate::LayerError> {
        crate::rules::shapes(self)
    }

    /// Whose buckets are charged; the client's [address](Key::ip) by default.
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Adds a policy. All policies of a rule apply together.
    pub fn policy(mut self, policy: impl IntoPolicy) -> Self {
        let policy = match self.kind {
            Kind::Shortcut => policy.into_policy(),
            Kind::Named | Kind::Unmatched => policy.into_policy_named(&self.name),
        };
        match policy {
            Ok(policy) => self.policies.push(policy),
            Err(error) => {
                self.refused.get_or_insert(error);
            }
        }
        self
    }

    /// Chooses the policies of each request, such as those of the client's tier. Where it chooses
    /// none, those of [`policy`](Self::policy) apply.
    ///
    /// The builder does not see these policies: one that needs a
    /// [fallback](crate::RateLimitLayerBuilder::fallback) where there is none is treated as
    /// [`FailureMode::Deny`](crate::FailureMode::Deny).
    pub fn policies_from(
        self,
        choose: impl Fn(&RequestView<'_>) -> Option<Policies> + Send + Sync + 'static,
    ) -> Self {
        self.policies_for(move |_, request| choose(request))
    }

    /// [`policies_from`](Self::policies_from), by whose buckets will be charged: what the rule's
    /// [key](Self::key) has found, so that nobody has to find it twice.
    ///
    /// # Example: a limit that is enforced for some clients, and tried out on the others
    ///
    /// ```
    /// use std::hash::{BuildHasher, RandomState};
    /// use rate_limit_tower::{Policies, RateLimitPolicy, Rule};
    ///
    /// let tried_out = Policies::new([RateLimitPolicy::per_minute(100).named("api").shadow()])?;
    /// let hasher = RandomState::new();
    /// let rule = Rule::new("api").policy(RateLimitPolicy::per_minute(100)).policies_for(
    ///     move |client, _| (hasher.hash_one(client) % 100 >= 10).then(|| tried_out.clone()),
    /// );
    /// # Ok::<(), rate_limit_tower::PolicyError>(())
    /// ```
    pub fn policies_for(
        mut self,
        choose: impl Fn(&ClientIdentity, &RequestView<'_>) -> Option<Policies> + Send + Sync + 'static,
    ) -> Self {
        self.asks.policies = Some(Box::new(choose));
        self
    }

    /// How many units a request takes; 1 by default. A request that costs nothing is told where it
    /// stands.
    pub fn cost(mut self, units: u64) -> Self {
        self.asks.cost = Cost::Units(units);
        self
    }

    /// Computes how many units a request takes, such as the number of its parts.
    pub fn cost_from(
        mut self,
        cost: impl Fn(&RequestView<'_>) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.asks.cost = Cost::From(Box::new(cost));
        self
    }

    /// Counts only requests whose response is one of these, such as failed sign-ins.
    ///
    /// The units are taken before the request passes, so that many at a time cannot slip through,
    /// and given back at the response's head if it is none of these; the fields show them as taken.
    /// For gRPC that is at the trailers, which gRPC-Web sends as the last message of the body, unless
    /// the head has the status already. Until then, and if the response is given up, they stay taken.
    ///
    /// # Example: five wrong passwords per minute, any number of right ones
    ///
    /// ```
    /// use rate_limit_tower::{RateLimitPolicy, Rule};
    ///
    /// let rule = Rule::new("login")
    ///     .path("/login")
    ///     .policy(RateLimitPolicy::per_minute(5))
    ///     .count_only(|response| !response.is_success());
    /// ```
    pub fn count_only(
        mut self,
        counts: impl Fn(&ResponseView<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.asks.counts = Some(Box::new(counts));
        self
    }

    /// What becomes of a request whose key is absent. By default it shares one bucket with all
    /// others like it.
    pub fn on_missing_identity(mut self, choice: MissingIdentity) -> Self {
        self.asks.missing_identity = choice;
        self
    }

    /// These requests are neither limited by this rule nor blocked by it. Other groups' rules apply
    /// to them all the same.
    pub fn exempt(
        mut self,
        exempts: impl Fn(&RequestView<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.asks.exempts.push(Box::new(exempts));
        self
    }

    /// These requests are answered with 403.
    pub fn block(
        mut self,
        blocks: impl Fn(&RequestView<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.asks.blocks.push(Box::new(blocks));
        self
    }

    /// What becomes of CORS preflights; they count by default.
    pub fn preflight(mut self, choice: Preflight) -> Self {
        self.asks.preflight = choice;
        self
    }

    /// Where the client can read about this limit: `documentation_url` of the problem document.
    pub fn documentation_url(mut self, url: impl Into<Arc<str>>) -> Self {
        self.asks.documentation_url = Some(url.into());
        self
    }

    /// How much the client is told, if it is not what the
    /// [layer](crate::RateLimitLayerBuilder::exposure) says. Of several rules that apply together,
    /// the one that tells least decides.
    pub fn exposure(mut self, exposure: Exposure) -> Self {
        self.asks.exposure = Some(exposure);
        self
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, group, methods, paths, key, policies, .. } = self;
        f.debug_struct("Rule")
            .field("name", name)
            .field("group", group)
            .field("methods", methods)
            .field("paths", paths)
            .field("key", key)
            .field("policies", policies)
            .finish_non_exhaustive()
    }
}
