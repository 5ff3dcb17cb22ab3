//! Checks of the repository itself, so that its rules do not depend on memory.
//!
//! Each check is a function from what it looks at to the violations it found, one sentence each.
//! The tests apply it to the repository, where the list has to be empty, and to a fabricated
//! mistake, where it must not be: a check that cannot fail checks nothing.
//!
//! | module | what it checks |
//! | --- | --- |
//! | [`edges`] | who may depend on whom |
//! | [`packages`] | what every published package has |
//! | [`sources`] | shape and vocabulary of the source files |
//! | [`documents`] | what the Markdown files refer to |
//!
//! The code blocks of `README.md` and of the guides in `docs/` are compiled and run as doctests of
//! this crate.

pub mod documents;
pub mod edges;
pub mod packages;
pub mod sources;
pub mod workspace;

/// The code blocks of `README.md`.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The code blocks of the page about the diagnosis RL001.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL001.md")]
pub struct Rl001;

/// The code blocks of the page about the diagnosis RL002.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL002.md")]
pub struct Rl002;

/// The code blocks of the page about the diagnosis RL003.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL003.md")]
pub struct Rl003;

/// The code blocks of the page about the diagnosis RL004.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL004.md")]
pub struct Rl004;

/// The code blocks of the page about the diagnosis RL005.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL005.md")]
pub struct Rl005;

/// The code blocks of the page about the diagnosis RL006.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL006.md")]
pub struct Rl006;

/// The code blocks of the page about the diagnosis RL007.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL007.md")]
pub struct Rl007;

/// The code blocks of the page about the diagnosis RL008.
#[cfg(doctest)]
#[doc = include_str!("../../docs/RL008.md")]
pub struct Rl008;

/// The code blocks of the guide on the client's address.
#[cfg(doctest)]
#[doc = include_str!("../../docs/client-address.md")]
pub struct ClientAddressGuide;

/// The code blocks of the index of guides.
#[cfg(doctest)]
#[doc = include_str!("../../docs/README.md")]
pub struct GuideIndex;

/// The code blocks of the guide on the order of layers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/layer-order.md")]
pub struct LayerOrder;

/// The code blocks of the guide for users of tower_governor.
#[cfg(doctest)]
#[doc = include_str!("../../docs/moving-from-tower-governor.md")]
pub struct MovingFromTowerGovernor;

/// The code blocks of the guide on changing limits.
#[cfg(doctest)]
#[doc = include_str!("../../docs/reloading.md")]
pub struct Reloading;

/// The code blocks of the guide on the rules file.
#[cfg(doctest)]
#[doc = include_str!("../../docs/rules-file.md")]
pub struct RulesFile;

/// The code blocks of the guide on limits in Redis.
#[cfg(doctest)]
#[doc = include_str!("../../docs/redis.md")]
pub struct LimitsInRedis;

/// The code blocks of the guide for clients.
#[cfg(doctest)]
#[doc = include_str!("../../docs/clients.md")]
pub struct Clients;

/// The code blocks of the guide on deploying the service.
#[cfg(doctest)]
#[doc = include_str!("../../docs/deployment.md")]
pub struct Deployment;

/// The code blocks of the guide on gateways.
#[cfg(doctest)]
#[doc = include_str!("../../docs/gateways.md")]
pub struct Gateways;

/// The code blocks of the page on metrics and logs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/metrics-and-logs.md")]
pub struct MetricsAndLogs;

/// The code blocks of the runbook.
#[cfg(doctest)]
#[doc = include_str!("../../docs/runbook.md")]
pub struct Runbook;

/// The code blocks of the guide on the service.
#[cfg(doctest)]
#[doc = include_str!("../../docs/service.md")]
pub struct TheService;

/// The code blocks of the page on the configuration of the service.
#[cfg(doctest)]
#[doc = include_str!("../../docs/service-configuration.md")]
pub struct ServiceConfiguration;

/// The code blocks of the guide on testing.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing-with-the-manual-clock.md")]
pub struct TestingWithTheManualClock;

/// The code blocks of the contribution guide.
#[cfg(doctest)]
#[doc = include_str!("../../CONTRIBUTING.md")]
pub struct Contributing;

/// The code blocks of the map.
#[cfg(doctest)]
#[doc = include_str!("../../ARCHITECTURE.md")]
pub struct Architecture;
