//! Log lines: JSON, one object per line, on standard error.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::arguments::LogLevel;

/// Begins to write log lines. Lines about denials are sampled where they are made: at most one per
/// second for each policy.
pub(crate) fn begin(level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_filter(filter_fn(move |line| *line.level() <= level && is_ours_or_grave(line)));
    // Only a program around this one can have begun before, and then its choice counts.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// What other crates say in detail may hold what clients have sent.
fn is_ours_or_grave(line: &Metadata<'_>) -> bool {
    let is_ours = line.target().starts_with("rate_limit") || line.target() == crate::audit::TARGET;
    is_ours || *line.level() <= Level::WARN
}
