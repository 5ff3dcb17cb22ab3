//! The circuit breaker of one server: when to stop asking it, and when to try again.
//!
//! A pure state machine over injected instants. It never waits, reads no clock and sends nothing;
//! [`Guard`](crate::guard::Guard) asks it before each decision and reports afterwards.
//!
//! ```text
//!             5 failures in a row, or half of 20 within 1 s
//!   Closed ───────────────────────────────────────────────▶ Open ◀─────────┐
//!      ▲                                                      │ time is up, │
//!      │ 3 successes                                          │ or a pong   │ a probe fails:
//!      │                                                      ▼             │ twice the time
//!      └────────────────────────────────────────────────── HalfOpen ───────┘
//! ```
//!
//! # Who probes
//!
//! The probe of a half-open breaker is a real decision of one caller: nothing else proves that
//! scripts run, that there is memory and that this server takes writes. It costs that caller at
//! most its deadline. If nobody calls, the supervisor takes the probe with a `PING`, but only if
//! silence opened the breaker, because a server that answers `OOM` answers `PONG` all the same.
//! Both take their turn through [`Breaker::admit`], so there is one probe at a time, whoever sends it.
//!
//! While a silent server's breaker is open, the supervisor keeps pinging. A reply ends the waiting
//! at once ([`Breaker::heard`]): service resumes soon after health returns, although the time of
//! an open breaker grows to seconds. What a breaker opened by refusals waits for only time can
//! tell, so there the full time passes, unless there is a new connection, perhaps to another
//! server ([`Breaker::reconnected`]).

use std::time::{Duration, Instant};

use super::window::Window;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BreakerLimits {
    /// So many failures in a row open the breaker.
    pub(crate) failures_in_a_row: u32,
    /// Of at least so many calls within a second, half have to fail to open the breaker.
    pub(crate) least_calls: u32,
    /// The longest time that the first opening may last.
    pub(crate) first_open: Duration,
    /// The longest time that any opening may last.
    pub(crate) longest_open: Duration,
    /// So many successful probes close the breaker.
    pub(crate) successes_to_close: u32,
    /// A probe that was not reported for so long is given up and another one is sent.
    pub(crate) probe_patience: Duration,
}

impl BreakerLimits {
    pub(crate) const DEFAULT: Self = Self {
        failures_in_a_row: 5,
        least_calls: 20,
        first_open: Duration::from_millis(250),
        longest_open: Duration::from_secs(5),
        successes_to_close: 3,
        probe_patience: Duration::from_secs(1),
    };

    /// For calls that may take as long as `deadline`: a probe is given up only when no reply can come
    /// any more. Otherwise a server that is slow, and within the deadline, would never be trusted.
    pub(crate) fn for_calls_of(self, deadline: Duration) -> Self {
        let patience = deadline.saturating_mul(2).max(self.probe_patience);
        Self { probe_patience: patience, ..self }
    }
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// No reply came: too late, or the connection broke.
    Silence,
    /// A reply came, and it was an error.
    Refusal,
}

/// What became of an admitted call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Report {
    Success,
    Failure(Failure),
    /// The call says nothing about the server: its caller went away, or it was never sent.
    Inconclusive,
}

/// What a breaker says about a call.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// The call may be made. What became of it has to be reported with the ticket.
    Admit(Ticket),
    /// The call must not be made.
    Refuse,
}

/// The right to make one call. Cannot be copied, so no call is reported twice.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a call that is never reported blocks the probe"]
pub(crate) struct Ticket {
    /// The state in which the ticket was issued; what is reported about an earlier one is stale.
    era: u64,
}

/// The breaker has changed its state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    Opened(Failure),
    HalfOpened,
    Closed,
}

/// The state as seen from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Closed,
    Open(Failure),
    HalfOpen(Failure),
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Breaker {
    limits: BreakerLimits,
    state: State,
    era: u64,
    /// Seeded by the operating system, so that processes that fail together do not return together.
    random: fastrand::Rng,
}

#[derive(Debug)]
enum State {
    Closed { in_a_row: u32, window: Window },
    Open { until: Instant, openings: u32, cause: Failure },
    HalfOpen { probe_since: Option<Instant>, successes: u32, openings: u32, cause: Failure },
}

impl State {
    const CLOSED: Self = Self::Closed { in_a_row: 0, window: Window::EMPTY };
}

impl Breaker {
    pub(crate) fn new(limits: BreakerLimits) -> Self {
        Self::with_random(limits, fastrand::Rng::new())
    }

    fn with_random(limits: BreakerLimits, random: fastrand::Rng) -> Self {
        Self { limits, state: State::CLOSED, era: 0, random }
    }

    /// Whether a call may be made now.
    pub(crate) fn admit(&mut self, now: Instant) -> (Admission, Option<Turn>) {
        match &mut self.state {
            State::Closed { .. } => (Admission::Admit(self.ticket()), None),
            State::Open { until, .. } if now < *until => (Admission::Refuse, None),
            State::Open { openings, cause, .. } => {
                let (openings, cause) = (*openings, *cause);
                self.enter(State::HalfOpen {
                    probe_since: Some(now),
                    successes: 0,
                    openings,
                    cause,
                });
                (Admission::Admit(self.ticket()), Some(Turn::HalfOpened))
            }
            State::HalfOpen { probe_since, .. } => {
                let is_out = probe_since.is_some_and(|since| {
                    now.saturating_duration_since(since) < self.limits.probe_patience
                });
                if is_out {
                    return (Admission::Refuse, None);
                }
                *probe_since = Some(now);
                // What a probe that was given up reports later is stale from here on.
                self.era += 1;
                (Admission::Admit(self.ticket()), None)
            }
        }
    }

    /// Takes note of what became of a call.
    pub(crate) fn report(&mut self, ticket: Ticket, report: Report, now: Instant) -> Option<Turn> {
        if ticket.era != self.era {
            return None;
        }
        match (&mut self.state, report) {
            (State::Closed { .. } | State::Open { .. }, Report::Inconclusive) => None,
            (State::Closed { in_a_row, window }, Report::Success) => {
                *in_a_row = 0;
                window.count(now, Report::Success);
                None
            }
            (State::Closed { in_a_row, window }, Report::Failure(cause)) => {
                *in_a_row += 1;
                window.count(now, report);
                let opens = *in_a_row >= self.limits.failures_in_a_row
                    || window.is_half_failed(self.limits.least_calls);
                opens.then(|| self.open(0, cause, now))
            }
            (State::HalfOpen { probe_since, .. }, Report::Inconclusive) => {
                *probe_since = None;
                None
            }
            (State::HalfOpen { probe_since, successes, .. }, Report::Success) => {
                *probe_since = None;
                *successes += 1;
                if *successes < self.limits.successes_to_close {
                    return None;
                }
                self.enter(State::CLOSED);
                Some(Turn::Closed)
            }
            (State::HalfOpen { openings, .. }, Report::Failure(cause)) => {
                let openings = *openings;
                Some(self.open(openings, cause, now))
            }
            // No ticket is issued in this state.
            (State::Open { .. }, _) => None,
        }
    }

    /// The server was heard. Ends the waiting if silence was the reason for it.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let State::Open { until, cause: Failure::Silence, .. } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// There is a new connection, to a server that has just proved to be ready for decisions. Ends
    /// the waiting, whatever was the reason for it.
    pub(crate) fn reconnected(&mut self, now: Instant) {
        if let State::Open { until, .. } = &mut self.state {
            *until = now.min(*until);
        }
    }

    pub(crate) const fn phase(&self) -> Phase {
        match self.state {
            State::Closed { .. } => Phase::Closed,
            State::Open { cause, .. } => Phase::Open(cause),
            State::HalfOpen { cause, .. } => Phase::HalfOpen(cause),
        }
    }

    /// Opens for a random time up to a bound that doubles with each opening in sequence.
    fn open(&mut self, openings: u32, cause: Failure, now: Instant) -> Turn {
        let factor = 1_u32.checked_shl(openings).unwrap_or(u32::MAX);
        let bound = self.limits.first_open.saturating_mul(factor).min(self.limits.longest_open);
        let until = now + crate::backoff::full_jitter(&mut self.random, bound);
        self.enter(State::Open { until, openings: openings.saturating_add(1), cause });
        Turn::Opened(cause)
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }

    const fn ticket(&self) -> Ticket {
        Ticket { era: self.era }
    }
}

#[cfg(test)]
mod tests;
