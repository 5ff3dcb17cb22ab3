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
        if exempt(&self.exempts, request) {
            Access::Exempt
        } else if block(&self.blocks, request) {
            Access::Block
        } else {
            Access::Limit
        }
    }
}

impl Asks {
    /// Whether the rule does not apply to a request that it matches.
    pub(super) fn skips(&self, request: &RequestView<'_>) -> bool {
        (self.preflight == Preflight::Skip && is_preflight(request))
            || exempt(&self.exempts, request)
    }

    /// Whether the rule turns a request away.
    pub(super) fn turns_away(&self, request: &RequestView<'_>) -> bool {
        block(&self.blocks, request)
    }
}

/// Whether a request is exempt: in every form of its path, because one alone would be the client's
/// choice.
fn exempt(exempts: &[Box<RequestPredicate>], request: &RequestView<'_>) -> bool {
    any(exempts, request)
        && request.with_dot_segments().is_none_or(|with_dots| any(exempts, &with_dots))
}

/// Whether a request is blocked: in any form of its path.
fn block(blocks: &[Box<RequestPredicate>], request: &RequestView<'_>) -> bool {
    any(blocks, request)
        || request.with_dot_segments().is_some_and(|with_dots| any(blocks, &with_dots))
}

fn any(predicates: &[Box<RequestPredicate>], request: &RequestView<'_>) -> bool {
    predicates.iter().any(|is| is(request))
}

fn is_preflight(request: &RequestView<'_>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
