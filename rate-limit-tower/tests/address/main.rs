//! The client's address: what is believed of a forwarding header, and what never is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// What finding the client costs.
mod allocations;
/// What is looked at of a header that is too long.
mod bounds;
/// The cases of the promises, by their number.
mod cases;
/// What is refused when the trust is set up.
mod configuration;
/// What no client can bring about, whatever it sends.
mod forging;
/// The same through the layer.
mod layers;
/// The client, computed a second time.
mod oracle;
/// How addresses are written, and how they are not.
mod spellings;
/// Short ways to make the things above.
mod support;
