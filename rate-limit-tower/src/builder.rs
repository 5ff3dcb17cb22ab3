//! Building a layer: everything that can be asked of it.

use std::fmt;

use bytes::Bytes;
use http::Response;
use rate_limit_core::{
    AccessLists, ClientIdentity, Clock, EnforceRateLimit, EnforceRateLimitBuilder, IpPrefixes,
    RateLimitRepository,
};

use crate::address::ClientAddress;
use crate::exposure::Exposure;
use crate::headers::HeaderFields;
use crate::into_policy::IntoPolicy;
use crate::jitter::RetryJitter;
use crate::key::Key;
use crate::layer::{RateLimitLayer, RejectWith, Said};
use crate::rejection::Rejection;
use crate::request_view::RequestView;
use crate::rule::{RequestPredicate, Rule};
use crate::time_of_day::TimeOfDay;

mod build;

/// Builds a [`RateLimitLayer`](crate::RateLimitLayer). Nothing is checked before [`build`](Self::build).
#[must_use = "a builder does nothing until it is built"]
pub struct RateLimitLayerBuilder<R> {
    enforce: EnforceRateLimitBuilder<R>,
    rules: Vec<Rule>,
    exempts: Vec<Box<RequestPredicate>>,
    blocks: Vec<Box<RequestPredicate>>,
    client_address: ClientAddress,
    ip_prefixes: IpPrefixes,
    has_access_lists: bool,
    exempt_identities: Vec<ClientIdentity>,
    time_of_day: TimeOfDay,
    responses: Responses,
    gives_handles: bool,
    tells_outer_layers: bool,
    has_fallback: bool,
    nodes: u32,
    said: Said,
}

/// What was asked for about responses.
#[derive(Default)]
struct Responses {
    header_fields: HeaderFields,
    exposure: Exposure,
    jitter: Option<RetryJitter>,
    problem_type_base: Option<Box<str>>,
    documentation_url: Option<Box<str>>,
    reject_with: Option<Box<RejectWith>>,
}

impl<R: RateLimitRepository + 'static> RateLimitLayerBuilder<R> {
    pub(crate) fn new(repository: R) -> Self {
        Self {
            enforce: EnforceRateLimit::builder(repository),
            rules: Vec::new(),
            exempts: Vec::new(),
            blocks: Vec::new(),
            client_address: ClientAddress::default(),
            ip_prefixes: IpPrefixes::DEFAULT,
            has_access_lists: false,
            exempt_identities: Vec::new(),
            time_of_day: TimeOfDay::default(),
            responses: Responses::default(),
            gives_handles: false,
            tells_outer_layers: true,
            has_fallback: false,
            nodes: 1,
            said: Said::default(),
        }
    }

    /// Adds a rule: which requests, whose buckets, which policies.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds a policy that counts each client address separately, whatever it asks for: a rule alone
    /// in a group of its own.
    ///
    /// The address is that of the connection, unless [`client_address`](Self::client_address) says
    /// otherwise. Addresses of one [prefix](Self::ip_prefixes) count as one client. Requests without
    /// an address share a single bucket, and the first of them is reported with the code `RL001`.
    pub fn per_ip(self, policy: impl IntoPolicy) -> Self {
        let index = self.rules.len();
        self.rule(Rule::shortcut(index, Key::ip()).policy(policy))
    }

    /// Adds a policy that counts everybody together, whatever they ask for: a rule alone in a group
    /// of its own.
    pub fn global(self, policy: impl IntoPolicy) -> Self {
        let index = self.rules.len();
        self.rule(Rule::shortcut(index, Key::global()).policy(policy))
    }

    /// Where the client's address comes from; by default, the connection.
    pub fn client_address(mut self, source: ClientAddress) -> Self {
        self.client_address = source;
        self
    }

    /// How many leading bits of an address make up a client: all of IPv4 and 64 of IPv6 by default.
    pub fn ip_prefixes(mut self, prefixes: IpPrefixes) -> Self {
        self.ip_prefixes = prefixes;
        self
    }

    /// Who passes without being counted, and who does not pass.
    pub fn access(mut self, lists: AccessLists) -> Self {
        self.exempt_identities = lists.exempt_identities().cloned().collect();
        self.enforce = self.enforce.access(lists);
        self.has_access_lists = true;
        self
    }

    /// These requests pass without being counted, also if they are blocked.
    ///
    /// # Example: the probes of an orchestrator
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
    ///
    /// let limit = RateLimitLayer::in_memory()
    ///     .per_ip(RateLimitPolicy::per_minute(100))
    ///     .exempt(|request| request.path() == "/health")
    ///     .build()?;
    /// # }
    /// # Ok::<(), rate_limit_tower::LayerError>(())
    /// ```
    pub fn exempt(
        mut self,
        exempts: impl Fn(&RequestView<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.exempts.push(Box::new(exempts));
        self
    }

    /// These requests are answered with 403.
    pub fn block(
        mut self,
        blocks: impl Fn(&RequestView<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.blocks.push(Box::new(blocks));
        self
    }

    /// Which fields responses carry.
    pub fn header_fields(mut self, fields: HeaderFields) -> Self {
        self.responses.header_fields = fields;
        self
    }

    /// How much clients are told, where a rule says nothing else.
    pub fn exposure(mut self, exposure: Exposure) -> Self {
        self.responses.exposure = exposure;
        self
    }

    /// Tells clients to wait a little longer than they have to, each differently. Off by default.
    pub fn retry_jitter(mut self, jitter: RetryJitter) -> Self {
        self.responses.jitter = Some(jitter);
        self
    }

    /// What the types of problem documents begin with, in place of the registry of the IANA: the
    /// names `quota-exceeded`, `temporary-reduced-capacity` and `abnormal-usage-detected` follow.
    pub fn problem_type_base(mut self, base: impl Into<Box<str>>) -> Self {
        self.responses.problem_type_base = Some(base.into());
        self
    }

    /// Where clients can read about their limits, where a rule says nothing else:
    /// `documentation_url` of problem documents.
    pub fn documentation_url(mut self, url: impl Into<Box<str>>) -> Self {
        self.responses.documentation_url = Some(url.into());
        self
    }

    /// Writes the responses of requests that do not pass, except to gRPC requests.
    ///
    /// The layer adds its fields, and `Retry-After` and `Cache-Control` where they are missing. How
    /// much the [exposure](Rejection::exposure) allows to be said is up to the function.
    ///
    /// # Example: a page for people, a problem document for programs
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use http::{Response, header};
    /// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
    ///
    /// let limit = RateLimitLayer::in_memory()
    ///     .per_ip(RateLimitPolicy::per_minute(100))
    ///     .reject_with(|rejection, request| {
    ///         let accepts = request.headers().get(header::ACCEPT);
    ///         if !accepts.is_some_and(|types| types.as_bytes().starts_with(b"text/html")) {
    ///             return rejection.to_response();
    ///         }
    ///         let mut page = Response::new("<h1>Slow down, please.</h1>".into());
    ///         *page.status_mut() = rejection.reason().status();
    ///         page
    ///     })
    ///     .build()?;
    /// # }
    /// # Ok::<(), rate_limit_tower::LayerError>(())
    /// ```
    pub fn reject_with(
        mut self,
        respond: impl Fn(&Rejection<'_>, &RequestView<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.responses.reject_with = Some(Box::new(respond));
        self
    }

    /// Puts a [`RateLimitHandle`](crate::RateLimitHandle) into the extensions of every request that
    /// passes: what was decided, and the way to report what the request has really cost. Not by
    /// default, because each costs a few allocations.
    pub fn with_handle(mut self) -> Self {
        self.gives_handles = true;
        self
    }

    /// Leaves the [`Decision`](crate::Decision) out of the extensions of responses of the inner
    /// service, which spares each of them three allocations. That of a request that was turned away
    /// is there in any case.
    ///
    /// For services around which nobody asks for it. Where layers are nested, an outer one then does
    /// not know how close to exhaustion this one is, and speaks for both.
    ///
    /// # Example: the outermost layer of a service with nothing around it that asks
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
    ///
    /// let limit = RateLimitLayer::in_memory()
    ///     .per_ip(RateLimitPolicy::per_minute(100))
    ///     .without_decision_in_responses()
    ///     .build()?;
    /// # }
    /// # Ok::<(), rate_limit_tower::LayerError>(())
    /// ```
    pub fn without_decision_in_responses(mut self) -> Self {
        self.tells_outer_layers = false;
        self
    }

    /// The store that decides while the other one does not answer. It lives in this process and
    /// must not be the same store.
    pub fn fallback(mut self, repository: impl RateLimitRepository + 'static) -> Self {
        self.enforce = self.enforce.fallback(repository);
        self.has_fallback = true;
        self
    }

    /// A [`fallback`](Self::fallback) beside a store that no other process can share, such as a file
    /// that one process owns, so that there is nothing to say about the number of nodes (`RL007`).
    pub fn fallback_of_one_process(
        mut self,
        repository: impl RateLimitRepository + 'static,
    ) -> Self {
        self.enforce = self.enforce.fallback(repository);
        self
    }

    /// Declares that the store always answers because it lives in this process.
    pub fn without_fallback(mut self) -> Self {
        self.enforce = self.enforce.without_fallback();
        self.has_fallback = false;
        self
    }

    /// How many processes share the store, 1 to 65,535; 1 by default. While the store is away, each
    /// enforces its share of the policies with [`FailureMode::Local`](crate::FailureMode::Local).
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.enforce = self.enforce.nodes(nodes);
        self.nodes = nodes;
        self
    }

    /// Makes the layer the successor of `previous`, whose limits it replaces while the program runs.
    ///
    /// What `previous` has said aloud already (`RL001` and its siblings) is not said again. Buckets
    /// are kept by giving both layers the same store: those of policies with the same name and
    /// algorithm, whatever their limits. See [`RateLimitLayer::limit`].
    pub fn succeeding<P>(mut self, previous: &RateLimitLayer<P>) -> Self {
        self.said = previous.said();
        self
    }

    /// Where the layer takes the time from; the system's by default. `X-RateLimit-Reset` and the
    /// sampling of log lines ask for [`Clock::utc_now`], the latency of the store for
    /// [`Clock::now`]. Decisions use the clock of the store.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.time_of_day = TimeOfDay::Clock(Box::new(clock));
        self
    }
}

impl<R> fmt::Debug for RateLimitLayerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayerBuilder").field("rules", &self.rules).finish_non_exhaustive()
    }
}
