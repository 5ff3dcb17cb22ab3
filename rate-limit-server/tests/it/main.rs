//! The program as operators and clients meet it: a process of its own, on a port of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// Arguments, addresses and tokens that are refused.
mod arguments;
/// Whom operators block, whatever has become of the rules.
mod blocks;
/// `POST /check`.
mod check;
/// A client of a few lines.
mod client;
/// `/auth`.
mod forward_auth;
/// Questions that are no questions.
mod hostile;
/// A client that speaks HTTP/2 frame by frame.
mod http2;
/// Connections that would be kept for ever.
mod idling;
/// Several instances on one store.
mod instances;
/// Metrics, logs and the audit log.
mod observing;
/// The description of all paths.
mod openapi;
/// What operators do while the service runs.
mod operators;
/// What page, dashboard and alerts say of metrics.
mod pages;
/// What was posted and is not in force.
mod refused;
/// A running server.
mod server;
/// Connections and their ends.
mod serving;
/// `POST /settle`.
mod settling;
