//! What the layer promises, without a socket and without sleeping.
//!
//! Every test builds its own layer on the memory store with a clock that stands still until the
//! test moves it. Tests over real sockets are in `examples/tests`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// What `build` refuses, and how it says so.
mod building;
/// What `build` refuses of rules.
mod building_rules;
/// Rules that are asked for by their names.
mod by_name;
/// Which services and bodies the layer fits around.
mod composition;
/// What requests cost, and under whose policies.
mod costs;
/// What requests have cost once the response is known.
mod counting;
/// What is said aloud about how a program is put together.
#[cfg(feature = "tracing")]
mod diagnoses;
/// Paths with dot segments.
#[cfg(feature = "axum")]
mod dot_segments;
/// A store in a file.
#[cfg(feature = "sqlite")]
mod durable;
/// gRPC clients.
mod grpc;
/// gRPC clients in browsers.
mod grpc_web;
/// The fields of responses, algorithm by algorithm.
mod headers;
/// Which rule applies to which host.
mod hosts;
/// Who asks.
mod identity;
/// Whose bucket.
mod keys;
/// A program that listens to log lines.
#[cfg(feature = "tracing")]
mod listener;
/// What is logged, and what is not.
#[cfg(feature = "tracing")]
mod log_lines;
/// What is counted.
#[cfg(feature = "metrics")]
mod metrics;
/// The store does not answer.
mod outage;
/// The store answers later.
mod pending;
/// The service that is called is the one that was ready.
mod readiness;
/// The responses of requests that do not pass.
mod rejection;
/// Which rule applies.
mod routes;
/// What is told, and how much of it.
mod selection;
/// One layer, one state.
mod sharing;
/// Many streams on one connection.
mod streams;
/// Layers that are exchanged while requests are under way.
mod succession;
/// Probe services, stores and parsers of the other modules.
mod support;
/// What clients are told is true, over many states.
mod told;
