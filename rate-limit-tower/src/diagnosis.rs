//! What is said aloud, once, when a program is put together in a way that cannot be meant.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::address::Noticed;

const MISSING_PEER: &str = concat!(
    "RL001: this request carries no peer address, so it shares one `anonymous` bucket with all \
     others like it. Cure: serve the axum router with \
     `into_make_service_with_connect_info::<SocketAddr>()` and enable the feature `axum` of \
     rate-limit-tower, or insert `rate_limit_tower::PeerAddress` into each request. \
     This is reported once per layer. See ",
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/RL001.md"
);

const COUNTED_TWICE: &str = concat!(
    "Cure: apply the layer once, or give the policies of the two layers different names. \
     This is reported once per layer. See ",
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/RL006.md"
);

const ONE_NODE: &str = concat!(
    "RL007: a fallback was given, hence the store is shared, but `nodes` is 1. If several processes \
     share it, each of them allows the whole limit while the store is away. Cure: say how many \
     there are with `.nodes(..)`. If there is only one, all is well. \
     This is reported once per layer. See ",
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/RL007.md"
);

/// Remembers what was reported already.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    /// One bit per diagnosis.
    bits: AtomicU8,
}

impl Clone for Reported {
    fn clone(&self) -> Self {
        // Relaxed, because nothing else is published by the bits.
        Self { bits: AtomicU8::new(self.bits.load(Ordering::Relaxed)) }
    }
}

impl Reported {
    /// Reports that a request has no address, the first time.
    pub(crate) fn missing_peer(&self) {
        self.once(1, || say("RL001", MISSING_PEER));
    }

    /// Reports what was noticed about proxies, the first time that it is.
    pub(crate) fn noticed(&self, noticed: Noticed) {
        let (Some(code), Some(message)) = (noticed.code(), noticed.message()) else {
            return;
        };
        let bit = match noticed {
            Noticed::Nothing => return,
            Noticed::HeaderNotNamed => 1 << 1,
            Noticed::AnyPeerTrusted => 1 << 2,
            Noticed::BothHeaders => 1 << 3,
            Noticed::PeerNotTrusted => 1 << 4,
        };
        self.once(bit, || say(code, message));
    }

    /// Reports that an outer layer has charged the same bucket under `policy`, the first time.
    #[cold]
    pub(crate) fn counted_twice(&self, policy: &str) {
        self.once(1 << 5, || {
            let what =
                "one request was counted twice in one bucket, by this layer and one around it";
            say("RL006", &format!("RL006: {what} (policy `{policy}`). {COUNTED_TWICE}"));
        });
    }

    /// Reports that a shared store has only one user, the first time. Only done when a layer is
    /// built.
    pub(crate) fn one_node(&self) {
        self.once(1 << 6, || say("RL007", ONE_NODE));
    }

    fn once(&self, bit: u8, say: impl FnOnce()) {
        // Relaxed, because nothing else is published by the bits; the load spares later requests
        // the contended write.
        if self.bits.load(Ordering::Relaxed) & bit == 0
            && self.bits.fetch_or(bit, Ordering::Relaxed) & bit == 0
        {
            say();
        }
    }
}

/// Uses `tracing` if the program listens to it. A program that does not must still be told, also
/// if some other crate enabled the feature.
pub(crate) fn say(code: &str, message: &str) {
    #[cfg(feature = "tracing")]
    if tracing::dispatcher::has_been_set() {
        tracing::error!(code, "{message}");
        return;
    }
    #[cfg(not(feature = "tracing"))]
    let _ = code;
    say_to_standard_error(message);
}

/// Says that there is nothing to do any more.
pub(crate) fn say_resolved(code: &str, message: &str) {
    #[cfg(feature = "tracing")]
    if tracing::dispatcher::has_been_set() {
        tracing::info!(code, "{message}");
        return;
    }
    #[cfg(not(feature = "tracing"))]
    let _ = code;
    say_to_standard_error(message);
}

fn say_to_standard_error(message: &str) {
    use std::io::Write as _;
    // Not `eprintln!`, which panics if nobody can read standard error. Then there is nobody to
    // tell, and the request goes on.
    let _ = writeln!(std::io::stderr(), "rate-limit-tower: {message}");
}
