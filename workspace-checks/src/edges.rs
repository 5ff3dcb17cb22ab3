//! Who may depend on whom: the arrows of `ARCHITECTURE.md`, spelled out.
//!
//! A new dependency of a library is a decision. It is made by adding it to [`ROOMS`] in the commit
//! that needs it, with the reason in the message.

use std::process::Command;

use cargo_metadata::DependencyKind;

use crate::workspace::{self, LIBRARIES};

/// What one library may depend on, outside of its tests.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The library.
    pub name: &'static str,
    /// What it may always need.
    pub normal: &'static [&'static str],
    /// What only a feature or a build configuration (`cfg(loom)`, `cfg(shuttle)`) may bring.
    pub conditional: &'static [&'static str],
    /// What must not be reached at all, not even through somebody else.
    pub out_of_reach: &'static [&'static str],
}

/// The allowed edges. Whatever is not listed is not allowed.
pub const ROOMS: [Room; 7] = [
    Room {
        name: "rate-limit-core",
        normal: &["async-trait", "thiserror"],
        conditional: &["num-rational"],
        out_of_reach: &[
            "axum",
            "dashmap",
            "http",
            "http-body",
            "hyper",
            "log",
            "redis",
            "rusqlite",
            "tokio",
            "tower",
            "tower-layer",
            "tower-service",
            "tracing",
        ],
    },
    Room {
        name: "rate-limit-memory",
        normal: &[
            "rate-limit-core",
            "async-trait",
            "crossbeam-utils",
            "indexmap",
            "smallvec",
            "thiserror",
            "zerocopy",
        ],
        // `nix` is how Linux is asked for the time and for large pages.
        conditional: &["loom", "nix", "quanta", "shuttle"],
        out_of_reach: &[
            "axum",
            "http",
            "http-body",
            "hyper",
            "redis",
            "rusqlite",
            "tokio",
            "tower",
            "tower-layer",
            "tower-service",
        ],
    },
    Room {
        name: "rate-limit-redis",
        normal: &[
            "rate-limit-core",
            "arc-swap",
            "async-trait",
            "base64",
            "crc16",
            "fastrand",
            "hashbrown",
            "percent-encoding",
            "redis",
            "siphasher",
            "smallvec",
            "socket2",
            "thiserror",
            "tokio",
            "url",
        ],
        conditional: &["metrics", "rustls-native-certs", "tokio-rustls", "tracing"],
        out_of_reach: &[
            "axum",
            "dashmap",
            "http",
            "http-body",
            "hyper",
            "native-tls",
            "openssl-sys",
            "rusqlite",
            "tower",
            "tower-layer",
            "tower-service",
        ],
    },
    Room {
        name: "rate-limit-sqlite",
        normal: &[
            "rate-limit-core",
            "async-trait",
            "futures-channel",
            "rusqlite",
            "siphasher",
            "smallvec",
            "thiserror",
        ],
        conditional: &[],
        out_of_reach: &[
            "axum",
            "dashmap",
            "http",
            "http-body",
            "hyper",
            "redis",
            "tokio",
            "tower",
            "tower-layer",
            "tower-service",
        ],
    },
    Room {
        name: "rate-limit-tower",
        normal: &[
            "rate-limit-core",
            "async-trait",
            "base64",
            "bytes",
            "http",
            "http-body",
            "ipnet",
            "itoa",
            "matchit",
            "pin-project-lite",
            "serde",
            "serde_json",
            "sha2",
            "smallvec",
            "thiserror",
            "tower-layer",
            "tower-service",
        ],
        conditional: &[
            "rate-limit-memory",
            "rate-limit-redis",
            "rate-limit-sqlite",
            "axum",
            "metrics",
            "tonic",
            "tracing",
        ],
        out_of_reach: &["actix-web", "hyper-util", "poem", "redis", "rocket", "rusqlite", "tokio"],
    },
    Room {
        name: "rate-limit-config",
        normal: &[
            "rate-limit-core",
            "rate-limit-tower",
            "aho-corasick",
            "arc-swap",
            "hex",
            "http",
            "humantime",
            "serde_json",
            "sha2",
            "siphasher",
            "strsim",
            "thiserror",
            "toml",
            "tower-layer",
            "tower-service",
        ],
        conditional: &["jsonwebtoken", "metrics", "notify-debouncer-mini", "tokio", "tracing"],
        out_of_reach: &["actix-web", "poem", "redis", "rocket", "rusqlite"],
    },
    Room {
        name: "rate-limit-server",
        normal: &[
            "rate-limit-config",
            "rate-limit-core",
            "rate-limit-memory",
            "rate-limit-tower",
            "axum",
            "bytes",
            "clap",
            "futures-util",
            "getrandom",
            "hex",
            "http",
            "http-body-util",
            "humantime",
            "hyper",
            "hyper-util",
            "metrics",
            "metrics-exporter-prometheus",
            "percent-encoding",
            "serde",
            "serde_json",
            "sha2",
            "subtle",
            "thiserror",
            "tokio",
            "tower-layer",
            "tower-service",
            "tracing",
            "tracing-subscriber",
            "url",
        ],
        conditional: &["rate-limit-redis", "rate-limit-sqlite"],
        out_of_reach: &["actix-web", "native-tls", "openssl-sys", "poem", "reqwest", "rocket"],
    },
];

/// Where [`ROOMS`] is, for messages.
pub const LIST: &str = "workspace-checks/src/edges.rs";

/// One arrow between packages, as a manifest declares it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edge {
    /// Whose manifest.
    pub from: String,
    /// What it names.
    pub to: String,
    /// Normal, development or build.
    pub kind: DependencyKind,
    /// Whether only a feature or a build configuration brings it.
    pub conditional: bool,
}

/// The arrows that the manifests of all members declare.
///
/// # Errors
///
/// If a manifest cannot be read.
pub fn declared() -> Result<Vec<Edge>, cargo_metadata::Error> {
    let metadata = workspace::metadata()?;
    let edges = metadata.packages.iter().flat_map(|package| {
        package.dependencies.iter().map(|dependency| Edge {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            kind: dependency.kind,
            conditional: dependency.optional || dependency.target.is_some(),
        })
    });
    Ok(edges.collect())
}

/// The arrows that are not allowed, one sentence each.
pub fn violations(edges: &[Edge]) -> Vec<String> {
    edges.iter().filter_map(violation).collect()
}

fn violation(edge: &Edge) -> Option<String> {
    let Edge { from, to, kind, conditional } = edge;
    if to.starts_with("rate-limit-") && !LIBRARIES.contains(&to.as_str()) {
        return Some(format!("{from} depends on {to}, which is for people and not for programs"));
    }
    let room = ROOMS.iter().find(|room| room.name == from)?;
    if *kind == DependencyKind::Development {
        // Tests may use what they like, but an arrow back to an outer room would make a cycle that
        // no first publication can resolve.
        let outward = room.name == "rate-limit-core" && LIBRARIES.contains(&to.as_str());
        return outward.then(|| format!("the tests of {from} depend on {to}; core knows nobody"));
    }
    let allowed = room.normal.contains(&to.as_str())
        || (*conditional && room.conditional.contains(&to.as_str()));
    (!allowed).then(|| {
        let hint = if room.conditional.contains(&to.as_str()) {
            "it is allowed only behind a feature"
        } else {
            "if that is meant, add it there in the same commit and say why"
        };
        format!(
            "{from} depends on {to}, which is not in the list of allowed edges in {LIST}; {hint}"
        )
    })
}

/// The names of all packages that `library` reaches through normal dependencies with `features`.
///
/// # Errors
///
/// If Cargo cannot tell.
pub fn reached(library: &str, features: Features) -> Result<Vec<String>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace::root()).args(["tree", "--offline", "--edges", "normal"]);
    command.args(["--prefix", "none", "--format", "{p}", "--package", library]);
    match features {
        Features::None => _ = command.arg("--no-default-features"),
        Features::Default => {}
        Features::All => _ = command.arg("--all-features"),
    }
    let output = command.output().map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// With which features a library is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Features {
    /// None.
    None,
    /// Those that are on by default.
    Default,
    /// All.
    All,
}

/// What `room` reaches although it must not, one sentence each.
pub fn out_of_reach(room: &Room, reached: &[String]) -> Vec<String> {
    room.out_of_reach
        .iter()
        .filter(|banned| reached.iter().any(|name| name == *banned))
        .map(|banned| {
            format!(
                "{} reaches {banned} through its dependencies (cargo tree --invert {banned}); \
                 {LIST} puts it out of reach",
                room.name,
            )
        })
        .collect()
}
