//! What tonic's router asks of a service.

use ::tonic::server::NamedService;

use crate::service::RateLimit;

/// The name of the inner service, by which tonic routes.
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
impl<S: NamedService, R> NamedService for RateLimit<S, R> {
    const NAME: &'static str = S::NAME;
}
