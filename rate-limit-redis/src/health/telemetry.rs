//! Changes of health as log lines and metrics. Labels are names of servers, never of clients.

use super::HealthEvent;

/// Tells of one change.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    allow(unused_variables, reason = "with neither feature there is nobody to tell")
)]
pub(super) fn tell(server: &str, event: &HealthEvent) {
    #[cfg(feature = "tracing")]
    log(server, event);
    #[cfg(feature = "metrics")]
    count(server, event);
}

#[cfg(feature = "tracing")]
fn log(server: &str, event: &HealthEvent) {
    match event {
        HealthEvent::Away(reason) if reason.needs_action() => {
            tracing::error!(server, "Redis {server}: {event}");
        }
        HealthEvent::Away(_) | HealthEvent::BreakerOpened { .. } => {
            tracing::warn!(server, "Redis {server}: {event}");
        }
        HealthEvent::EvictsDebt { .. } | HealthEvent::DigestsArePseudonyms => {
            tracing::warn!(server, "Redis {server}: {event}");
        }
        HealthEvent::Connected
        | HealthEvent::BreakerHalfOpened
        | HealthEvent::BreakerClosed
        | HealthEvent::Forgotten => tracing::info!(server, "Redis {server}: {event}"),
    }
}

/// Changes are rare, so handles are looked up each time.
#[cfg(feature = "metrics")]
fn count(server: &str, event: &HealthEvent) {
    use metrics::{counter, gauge};

    const CHANGES: &str = "rate_limit_redis_changes_total";
    const CONNECTED: &str = "rate_limit_redis_connected";
    const BREAKER_OPEN: &str = "rate_limit_redis_breaker_open";

    let server = server.to_owned();
    counter!(CHANGES, "server" => server.clone(), "change" => name(event)).increment(1);
    match event {
        HealthEvent::Connected => gauge!(CONNECTED, "server" => server).set(1.0),
        HealthEvent::Away(_) => gauge!(CONNECTED, "server" => server).set(0.0),
        HealthEvent::BreakerOpened { .. } => gauge!(BREAKER_OPEN, "server" => server).set(1.0),
        HealthEvent::BreakerHalfOpened => gauge!(BREAKER_OPEN, "server" => server).set(0.5),
        HealthEvent::BreakerClosed => gauge!(BREAKER_OPEN, "server" => server).set(0.0),
        HealthEvent::Forgotten => {
            // A gauge cannot be taken back, and what it said last would raise an alarm for ever.
            gauge!(CONNECTED, "server" => server.clone()).set(1.0);
            gauge!(BREAKER_OPEN, "server" => server).set(0.0);
        }
        HealthEvent::EvictsDebt { .. } | HealthEvent::DigestsArePseudonyms => {}
    }
}

#[cfg(feature = "metrics")]
fn name(event: &HealthEvent) -> &'static str {
    match event {
        HealthEvent::Connected => "connected",
        HealthEvent::Away(reason) if reason.needs_action() => "refused",
        HealthEvent::Away(_) => "away",
        HealthEvent::BreakerOpened { .. } => "breaker_opened",
        HealthEvent::BreakerHalfOpened => "breaker_half_opened",
        HealthEvent::BreakerClosed => "breaker_closed",
        HealthEvent::EvictsDebt { .. } => "evicts_debt",
        HealthEvent::DigestsArePseudonyms => "digests_are_pseudonyms",
        HealthEvent::Forgotten => "forgotten",
    }
}
