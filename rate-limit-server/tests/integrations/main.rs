//! The service among real programs, with the files of `deploy/` as they are.
//! `scripts/test-integrations` runs these tests; `cargo test` only compiles them, because they need
//! what a plain laptop may not have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// A client of a few lines.
#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "../it/client.rs"]
mod client;
/// The files of `deploy/`, and the programs that read them.
mod deploy;
/// The description of all paths, read by a program that takes it at its word.
mod openapi;
/// A running server.
#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "../it/server.rs"]
mod server;

/// nginx asks for each request of its clients.
#[cfg(target_os = "linux")]
mod auth_request;
/// A running Envoy, Traefik or Caddy.
#[cfg(target_os = "linux")]
mod gateway;
/// Envoy, Traefik and Caddy ask for each request of their clients.
#[cfg(target_os = "linux")]
mod gateways;
/// A running nginx.
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the tests of the layer use the rest")]
#[path = "../../../examples/tests/integrations/nginx.rs"]
mod nginx;
/// Clients with addresses of their own.
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the tests of the layer use the rest")]
#[path = "../../../examples/tests/it/support.rs"]
mod support;

/// A file of the repository.
fn file(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The program that a variable names, which `scripts/test-integrations` sets.
fn program(variable: &str) -> std::process::Command {
    let path = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is a path; scripts/test-integrations sets it"));
    std::process::Command::new(path)
}

/// The text with another part, which has to be there once.
fn replaced(text: &str, part: &str, other: &str) -> String {
    assert_eq!(text.matches(part).count(), 1, "{part}");
    text.replace(part, other)
}
