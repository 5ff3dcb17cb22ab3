//! What is said aloud, once, when a program is put together in a way that cannot be meant.

use std::sync::atomic::{AtomicBool, Ordering};

use rate_limit_core::RepositoryError;

const MISSING_PEER: &str = concat!(
    "RL001: this request carries no peer address, so it shares one `anonymous` bucket with all \
     others like it. Cure: serve the axum router with \
     `into_make_service_with_connect_info::<SocketAddr>()` and enable the feature `axum` of \
     rate-limit-tower, or insert `rate_limit_tower::PeerAddress` into each request. \
     This is reported once per layer. See ",
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/RL001.md"
);

/// Remembers whether the missing peer address was reported.
#[derive(Debug, Default)]
pub(crate) struct MissingPeer {
    reported: AtomicBool,
}

impl MissingPeer {
    /// Reports the missing peer address, the first time it is called.
    pub(crate) fn report(&self) {
        // Relaxed, because nothing else is published by the flag; the load spares later requests
        // the contended write.
        if !self.reported.load(Ordering::Relaxed) && !self.reported.swap(true, Ordering::Relaxed) {
            say(MISSING_PEER);
        }
    }
}

/// Says why the store did not answer. Not loud: during an outage every request says it.
pub(crate) fn store_did_not_answer(failure: &RepositoryError) {
    #[cfg(feature = "tracing")]
    tracing::debug!(error = failure as &dyn std::error::Error, "decided without the store");
    #[cfg(not(feature = "tracing"))]
    let _ = failure;
}

/// Uses `tracing` if the program listens to it. A program that does not must still be told, also
/// if some other crate enabled the feature.
fn say(message: &str) {
    #[cfg(feature = "tracing")]
    if tracing::dispatcher::has_been_set() {
        tracing::error!(code = "RL001", "{message}");
        return;
    }
    say_to_standard_error(message);
}

fn say_to_standard_error(message: &str) {
    use std::io::Write as _;
    // Not `eprintln!`, which panics if nobody can read standard error. Then there is nobody to
    // tell, and the request goes on.
    let _ = writeln!(std::io::stderr(), "rate-limit-tower: {message}");
}
