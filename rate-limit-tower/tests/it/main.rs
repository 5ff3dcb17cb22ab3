//! What the layer promises, without a socket and without sleeping.
//!
//! Every test builds its own layer on the memory store with a clock that stands still until the
//! test moves it. Tests over real sockets are in `examples/tests`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// What `build` refuses, and how it says so.
mod building;
/// Which services and bodies the layer fits around.
mod composition;
/// The fields of responses, algorithm by algorithm.
mod headers;
/// Who asks.
mod identity;
/// The store does not answer.
mod outage;
/// The store answers later.
mod pending;
/// The service that is called is the one that was ready.
mod readiness;
/// The responses of requests that do not pass.
mod rejection;
/// One layer, one state.
mod sharing;
/// Probe services, stores and parsers of the other modules.
mod support;
/// What clients are told is true, over many states.
mod told;
