//! Who is exempt, who is blocked, and whom a rule skips.

use http::Method;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use rate_limit_core::Access;

use super::Rules;
use crate::request_view::RequestView;
use crate::rule::{Asks, Preflight, RequestPredicate};

impl Rules {
    /// What the layer's own predicates say of a request.
    pub(crate) fn access(&self, request: &RequestView<'_>) -> Access {
        if any(&self.exempts, request) {
            Access::Exempt
        } else if any(&self.blocks, request) {
            Access::Block
        } else {
            Access::Limit
        }
    }
}

impl Asks {
    /// Whether the rule does not apply to a request that it matches.
    pub(super) fn skips(&self, request: &RequestView<'_>) -> bool {
        (self.preflight == Preflight::Skip && is_preflight(request)) || any(&self.exempts, request)
    }

    /// Whether the rule turns a request away.
    pub(super) fn turns_away(&self, request: &RequestView<'_>) -> bool {
        any(&self.blocks, request)
    }
}

fn any(predicates: &[Box<RequestPredicate>], request: &RequestView<'_>) -> bool {
    predicates.iter().any(|is| is(request))
}

fn is_preflight(request: &RequestView<'_>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
