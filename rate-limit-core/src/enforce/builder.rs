//! Building the use case, and what can be wrong with it.

use std::sync::Arc;

use super::{AccessLists, EnforceRateLimit, Error, FailureMode, Fallback, RateLimitPolicy};
use super::{RateLimitRepository, Shared};

/// Builds an [`EnforceRateLimit`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct EnforceRateLimitBuilder<R> {
    repository: R,
    fallback: Choice,
    nodes: u32,
    access: AccessLists,
    /// The name and mode of the first known policy that cannot do without a fallback.
    needs_fallback: Option<(String, FailureMode)>,
}

#[derive(Debug)]
enum Choice {
    Given(Fallback),
    NotMade,
    Unneeded,
}

/// Why the use case cannot be built.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EnforceError {
    /// A policy wants to be enforced in this process while the store does not answer.
    #[error(
        "policy `{policy}` has failure mode {mode:?}, which needs a fallback; expected \
         `.fallback(..)` with a store in this process, `.without_fallback()` for a store that \
         always answers, or `FailureMode::Deny`"
    )]
    MissingFallback {
        /// The policy.
        policy: String,
        /// Its failure mode.
        mode: FailureMode,
    },
    /// The number of nodes is out of range.
    #[error("nodes = {nodes} is out of range; expected 1 to {max}")]
    Nodes {
        /// The refused number.
        nodes: u32,
        /// The largest accepted one.
        max: u32,
    },
}

impl<R: RateLimitRepository + 'static> EnforceRateLimitBuilder<R> {
    /// The most processes among which limits can be divided: 65,535.
    pub const MAX_NODES: u32 = u16::MAX as u32;

    pub(super) fn new(repository: R) -> Self {
        Self {
            repository,
            fallback: Choice::NotMade,
            nodes: 1,
            access: AccessLists::new(),
            needs_fallback: None,
        }
    }

    /// The store that decides while the other one does not answer. It lives in this process and
    /// answers at once, and must not be the same store.
    pub fn fallback(mut self, repository: impl RateLimitRepository + 'static) -> Self {
        self.fallback = Choice::Given(Fallback::Repository(Arc::new(repository)));
        self
    }

    /// Declares that the store always answers because it lives in this process. Should it fail
    /// after all, the request is answered as unavailable (503).
    pub fn without_fallback(mut self) -> Self {
        self.fallback = Choice::Unneeded;
        self
    }

    /// How many processes share the store, 1 to 65,535; 1 by default. While the store is away,
    /// each enforces its share of a [`FailureMode::Local`] policy.
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = nodes;
        self
    }

    /// Who is exempt and who is blocked.
    pub fn access(mut self, lists: AccessLists) -> Self {
        self.access = lists;
        self
    }

    /// Declares a policy that requests will be charged against, so that what it needs is checked
    /// when the use case is built and not on the first bad day.
    ///
    /// An undeclared policy that needs a fallback where there is none is treated as
    /// [`FailureMode::Deny`].
    pub fn policy(mut self, policy: &RateLimitPolicy) -> Self {
        let mode = policy.failure_mode();
        let needs = matches!(mode, FailureMode::Allow | FailureMode::Local) && policy.is_enforced();
        if needs && self.needs_fallback.is_none() {
            self.needs_fallback = Some((policy.name().to_string(), mode));
        }
        self
    }

    /// Checks everything and builds the use case.
    ///
    /// # Errors
    ///
    /// [`EnforceError::MissingFallback`] if a declared policy needs a fallback and nothing was said
    /// about one; [`EnforceError::Nodes`] if the number of nodes is out of range.
    pub fn build(self) -> Result<EnforceRateLimit<R>, EnforceError> {
        let max = Self::MAX_NODES;
        if !(1..=max).contains(&self.nodes) {
            return Err(EnforceError::Nodes { nodes: self.nodes, max });
        }
        let fallback = match (self.fallback, self.needs_fallback) {
            (Choice::Given(fallback), _) => fallback,
            (Choice::NotMade, Some((policy, mode))) => {
                return Err(EnforceError::MissingFallback { policy, mode });
            }
            (Choice::NotMade | Choice::Unneeded, _) => Fallback::None,
        };
        Ok(EnforceRateLimit {
            shared: Arc::new(Shared {
                repository: self.repository,
                fallback,
                nodes: self.nodes,
                access: self.access,
            }),
        })
    }
}
