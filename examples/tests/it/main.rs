//! The examples and the layer over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// Many connections from many addresses at once.
#[cfg(target_os = "linux")]
mod addresses;
/// Limits that change while a program runs.
#[cfg(unix)]
mod configured;
/// The store of that program, under the suite.
mod conformance;
/// A program with a store of its own.
mod custom_repository;
/// Many streams of one HTTP/2 connection.
mod http2;
/// The program that uses hyper alone.
mod hyper_service;
/// Where the layer stands among others.
mod layer_order;
/// Sign-ins of which only failures count.
mod login_protection;
/// What Prometheus reads.
mod metrics;
/// A server without a web framework.
mod plain_hyper;
/// The examples as processes of their own.
mod process;
/// The program a newcomer runs first.
mod quickstart;
mod redis_shared;
/// Clients of the other modules.
mod support;
/// Clients with different limits.
mod tiers;
/// gRPC and HTTP on one port.
mod tonic_service;
/// Limits per card and per address.
mod two_dimensions;
/// Requests that cost what their handlers report.
mod weighted_cost;
