//! What operators are told of reloads: metrics (feature `metrics`) and log lines (feature `tracing`).

#[cfg(feature = "metrics")]
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::layer::Applied;
use crate::problem::Problem;

#[cfg(feature = "metrics")]
const RELOADS: &str = "rate_limit_config_reloads_total";
#[cfg(feature = "metrics")]
const VERSION: &str = "rate_limit_config_version";

/// Begins to tell: every series is there before anything is counted in it, so that the first refusal
/// is seen as an increase.
pub(super) fn begun(version: u64) {
    #[cfg(feature = "metrics")]
    {
        describe_counter!(RELOADS, Unit::Count, "What came of reloads of the rules");
        describe_gauge!(VERSION, Unit::Count, "Which version of the rules is in force");
        for outcome in ["applied", "refused"] {
            counter!(RELOADS, "outcome" => outcome).increment(0);
        }
        show(version);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = version;
}

/// Tells that a version is in force, and what is probably not meant in it.
pub(super) fn applied(applied: &Applied, warnings: &[Problem]) {
    let version = applied.version;
    #[cfg(feature = "metrics")]
    count_reload("applied", version);
    say(Level::Info, &format!("rate limit rules: version {version} is in force"));
    if !applied.needs_restart.is_empty() {
        let settings = applied.needs_restart.join(", ");
        say(
            Level::Warn,
            &format!("rate limit rules: {settings} changed, which takes effect with a restart"),
        );
    }
    if let Some(stale) = &applied.stale_keys {
        say(Level::Warn, &format!("rate limit rules: {stale}; the keys read before serve for now"));
    }
    for warning in warnings {
        say(Level::Warn, &format!("rate limit rules: {warning}"));
    }
}

/// Tells that a version is not in force, and why.
pub(super) fn refused(version: u64, why: &dyn std::fmt::Display) {
    #[cfg(feature = "metrics")]
    count_reload("refused", version);
    let still = format!("rate limit rules: refused, version {version} stays in force: {why}");
    say(Level::Error, &still);
}

/// Tells that changes of a file may go unnoticed.
#[cfg(feature = "watch")]
pub(super) fn unwatched(why: &dyn std::fmt::Display) {
    say(Level::Warn, &format!("rate limit rules: changes may go unnoticed: {why}"));
}

#[cfg(feature = "metrics")]
fn count_reload(outcome: &'static str, version: u64) {
    counter!(RELOADS, "outcome" => outcome).increment(1);
    show(version);
}

#[cfg(feature = "metrics")]
#[allow(clippy::cast_precision_loss, reason = "no program reloads 2^53 times")]
fn show(version: u64) {
    gauge!(VERSION).set(version as f64);
}

/// How loudly something is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Level {
    Error,
    Info,
    Warn,
}

/// Uses `tracing` if the program listens to it. A program that does not must still be told what went
/// wrong, also if some other crate enabled the feature.
fn say(level: Level, message: &str) {
    #[cfg(feature = "tracing")]
    if tracing::dispatcher::has_been_set() {
        return match level {
            Level::Error => tracing::error!("{message}"),
            Level::Info => tracing::info!("{message}"),
            Level::Warn => tracing::warn!("{message}"),
        };
    }
    if level != Level::Info {
        use std::io::Write as _;
        // Not `eprintln!`, which panics if nobody can read standard error.
        let _ = writeln!(std::io::stderr(), "{message}");
    }
}
