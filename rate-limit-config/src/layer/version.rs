//! One version of the configuration, ready for requests.

use std::sync::Arc;

#[cfg(feature = "jwt")]
use http::Request;
use rate_limit_core::AccessLists;
use rate_limit_tower::RateLimitLayer;

use super::access::AccessList;
use super::builder::{Fallback, HasClock, Parts};
use super::{Applied, ApplyError, SharedStore, rules};
use crate::configuration::{Configuration, StoreSettings};
#[cfg(feature = "jwt")]
use crate::jwt::Verifier;
#[cfg(feature = "jwt")]
use crate::verified_client::VerifiedClient;

/// One version of the configuration, ready for requests.
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) configuration: Arc<Configuration>,
    pub(super) limits: RateLimitLayer<SharedStore>,
    #[cfg(feature = "jwt")]
    verifier: Option<Verifier>,
}

impl Version {
    /// The first version, or the one after `previous`.
    pub(super) fn new(
        parts: &Parts,
        configuration: Configuration,
        previous: Option<&Self>,
    ) -> Result<Self, ApplyError> {
        #[cfg(not(feature = "jwt"))]
        if configuration.identity.jwt.is_some() {
            return Err(ApplyError::JwtUnsupported);
        }
        #[cfg(feature = "jwt")]
        let verifier = {
            let settings = configuration.identity.jwt.as_ref();
            let previous = previous.and_then(|previous| previous.verifier.as_ref());
            let clock = || parts.clock.clone();
            settings
                .map(|jwt| Verifier::new(jwt, &configuration.rules, clock(), previous))
                .transpose()?
        };
        Ok(Self {
            number: previous.map_or(1, |previous| previous.number + 1),
            limits: limits(parts, &configuration, previous)?,
            configuration: Arc::new(configuration),
            #[cfg(feature = "jwt")]
            verifier,
        })
    }

    /// The request, with what its token says of who it comes from.
    #[cfg(feature = "jwt")]
    pub(super) fn identified<B>(&self, mut request: Request<B>) -> Request<B> {
        let Some(verifier) = &self.verifier else {
            return request;
        };
        // The program itself knows better.
        if request.extensions().get::<VerifiedClient>().is_none()
            && let Some(client) = verifier.client(request.headers())
        {
            request.extensions_mut().insert(client);
        }
        request
    }

    /// What is to be said of the version once it is in force.
    pub(super) fn applied(&self, parts: &Parts) -> Applied {
        let needs_restart = changes(&parts.opened_with, &self.configuration.store);
        #[cfg(feature = "jwt")]
        let stale = self.verifier.as_ref().and_then(Verifier::stale).map(ToString::to_string);
        #[cfg(not(feature = "jwt"))]
        let stale = None;
        Applied { version: self.number, needs_restart, stale_keys: stale }
    }
}

/// The layer of a version.
fn limits(
    parts: &Parts,
    configuration: &Configuration,
    previous: Option<&Version>,
) -> Result<RateLimitLayer<SharedStore>, ApplyError> {
    let Configuration { identity, exempt, block, responses, .. } = configuration;
    let mut builder = RateLimitLayer::builder(parts.store.clone())
        .nodes(parts.opened_with.nodes)
        .client_address(identity.client_address.clone())
        .ip_prefixes(identity.prefixes);
    builder = match &parts.fallback {
        Fallback::Declined => builder.without_fallback(),
        Fallback::Given(fallback) => builder.fallback(fallback.clone()),
        Fallback::NotMentioned => builder,
        Fallback::OfOneProcess(fallback) => builder.fallback_of_one_process(fallback.clone()),
    };
    if parts.has_clock == HasClock::Chosen {
        builder = builder.clock(parts.clock.clone());
    }
    builder = responses.apply_to(builder);

    let list = |entries| AccessList::new(entries, identity, parts.clock.clone());
    let (exempt, block) = (list(exempt)?, list(block)?);
    if exempt.needs_addresses() || block.needs_addresses() {
        // So that requests without an address are noticed.
        builder = builder.access(AccessLists::new());
    }
    if !exempt.is_empty() {
        builder = builder.exempt(move |request| exempt.names(request));
    }
    if !block.is_empty() {
        builder = builder.block(move |request| block.names(request));
    }

    let secret = parts.opened_with.key_secret.as_ref();
    for settings in &configuration.rules {
        builder = builder.rule(rules::rule(settings, identity, &configuration.tiers, secret));
    }
    if let Some(previous) = previous {
        builder = builder.succeeding(&previous.limits);
    }
    Ok(builder.build()?)
}

/// The settings of the store that are not as they were when it was opened. What requests get while
/// it does not answer is part of the rules, and changes with them.
fn changes(opened: &StoreSettings, wanted: &StoreSettings) -> Vec<&'static str> {
    let settings = [
        ("store.url", opened.url == wanted.url),
        ("store.timeout", opened.timeout == wanted.timeout),
        ("store.breaker", opened.breaker == wanted.breaker),
        ("store.nodes", opened.nodes == wanted.nodes),
        ("store.key_prefix", opened.key_prefix == wanted.key_prefix),
        ("store.key_secret", opened.key_secret == wanted.key_secret),
        ("store.max_keys", opened.max_keys == wanted.max_keys),
        ("store.memory_pages", opened.memory_pages == wanted.memory_pages),
    ];
    settings.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
}
