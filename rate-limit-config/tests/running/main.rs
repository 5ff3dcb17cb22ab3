//! What configured layers do: from the text of a rules file to the fields of responses.
//!
//! Every test has a store and a clock of its own, which stands still until the test moves it. What
//! files say wrongly is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// Who is exempt or blocked.
mod access;
/// Bans that grow and are forgiven.
mod bans;
/// What requests cost, and which of them count.
mod costs;
/// Reloading on SIGHUP.
#[cfg(unix)]
mod hangups;
/// Who is believed about whom, and what becomes of whom nobody knows.
mod identities;
/// Keys for tokens, and where they are kept.
mod keys;
/// What requests get while the store does not answer.
mod outages;
/// Key pairs, as the tests beside the code make them.
#[path = "../../src/jwt/tests/pairs.rs"]
mod pairs;
/// The same rules on counters in Redis.
mod redis;
/// Exchanging the configuration.
mod reloads;
/// What clients are told.
mod responses;
/// Several limits, several keys, several groups.
mod rules;
/// Rules that only watch, for everybody or for some.
mod shadow;
/// Layers, requests and tokens of the other modules.
mod support;
/// Limits by tier, and tokens that do not count.
mod tiers;
/// Files that change.
#[cfg(unix)]
mod watching;
