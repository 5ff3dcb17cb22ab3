//! What a rule consists of, and the choices it offers.

use std::sync::Arc;

use rate_limit_core::ClientIdentity;

use crate::exposure::Exposure;
use crate::policies::Policies;
use crate::request_view::RequestView;
use crate::response_view::ResponseView;

/// How a rule came to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// By name.
    Named,
    /// For what no other rule of its group matches.
    Unmatched,
    /// By a short cut of the builder: alone in a group.
    Shortcut,
}

/// Which paths a rule names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PathPattern {
    /// A pattern in the syntax of `matchit`.
    Path(String),
    /// A path and all below it.
    Prefix(String),
    /// A route of axum's, word by word.
    #[cfg_attr(not(feature = "axum"), allow(dead_code, reason = "nobody else matches routes"))]
    Matched(String),
}

impl PathPattern {
    /// Whether there is no path that this does not match.
    pub(crate) fn is_every_path(&self) -> bool {
        match self {
            Self::Prefix(path) => path.trim_matches('/').is_empty(),
            Self::Path(_) | Self::Matched(_) => false,
        }
    }
}

/// What a rule asks when a request has matched it.
#[derive(Default)]
pub(crate) struct Asks {
    pub(crate) policies: Option<Box<PoliciesFrom>>,
    pub(crate) cost: Cost,
    pub(crate) counts: Option<Box<ResponsePredicate>>,
    pub(crate) exempts: Vec<Box<RequestPredicate>>,
    pub(crate) blocks: Vec<Box<RequestPredicate>>,
    pub(crate) missing_identity: MissingIdentity,
    pub(crate) preflight: Preflight,
    pub(crate) documentation_url: Option<Arc<str>>,
    pub(crate) exposure: Option<Exposure>,
}

pub(crate) type PoliciesFrom =
    dyn Fn(&ClientIdentity, &RequestView<'_>) -> Option<Policies> + Send + Sync;
pub(crate) type CostFrom = dyn Fn(&RequestView<'_>) -> u64 + Send + Sync;
pub(crate) type RequestPredicate = dyn Fn(&RequestView<'_>) -> bool + Send + Sync;
pub(crate) type ResponsePredicate = dyn Fn(&ResponseView<'_>) -> bool + Send + Sync;

/// How many units a request takes.
pub(crate) enum Cost {
    Units(u64),
    From(Box<CostFrom>),
}

impl Default for Cost {
    fn default() -> Self {
        Self::Units(1)
    }
}

/// What becomes of a request whose [key](crate::Key) is absent.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MissingIdentity {
    /// It shares one bucket with all others like it.
    #[default]
    ShareAnonymous,
    /// It is answered with 400.
    Reject,
    /// The rule does not apply to it, so it is not limited by it.
    Skip,
}

/// What becomes of a CORS preflight: an OPTIONS request with `Access-Control-Request-Method`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Preflight {
    /// It counts like any other request that matches the rule.
    #[default]
    Count,
    /// The rule does not apply to it.
    Skip,
}
