//! The route that the router around the layer has matched.

use crate::request_view::RequestView;

/// The route that axum matched.
#[cfg(feature = "axum")]
pub(crate) fn of<'a>(request: &RequestView<'a>) -> Option<&'a str> {
    request.matched_path()
}

/// No router is known.
#[cfg(not(feature = "axum"))]
pub(crate) const fn of<'a>(_: &RequestView<'a>) -> Option<&'a str> {
    None
}
