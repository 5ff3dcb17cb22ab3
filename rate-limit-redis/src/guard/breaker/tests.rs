use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SILENCE: Report = Report::Failure(Failure::Silence);
const REFUSAL: Report = Report::Failure(Failure::Refusal);

/// A breaker and the instant that the test has reached.
struct Bench {
    breaker: Breaker,
    now: Instant,
    turns: Vec<Turn>,
}

impl Bench {
    fn new() -> Self {
        Self::with(BreakerLimits::DEFAULT)
    }

    #[allow(clippy::disallowed_methods, reason = "any instant will do as the origin")]
    fn with(limits: BreakerLimits) -> Self {
        let breaker = Breaker::with_random(limits, fastrand::Rng::with_seed(7));
        Self { breaker, now: Instant::now(), turns: Vec::new() }
    }

    fn admit(&mut self) -> Option<Ticket> {
        let (admission, turn) = self.breaker.admit(self.now);
        self.turns.extend(turn);
        match admission {
            Admission::Admit(ticket) => Some(ticket),
            Admission::Refuse => None,
        }
    }

    fn report(&mut self, ticket: Ticket, report: Report) {
        self.turns.extend(self.breaker.report(ticket, report, self.now));
    }

    fn call(&mut self, report: Report) {
        let ticket = self.admit().expect("the breaker should admit this call");
        self.report(ticket, report);
    }

    fn open(&mut self, by: Report) {
        for _ in 0..5 {
            self.call(by);
        }
        assert!(matches!(self.breaker.phase(), Phase::Open(_)));
    }

    fn until(&self) -> Instant {
        match self.breaker.state {
            State::Open { until, .. } => until,
            _ => panic!("the breaker is not open"),
        }
    }
}

/// Replies within the deadline prove that the server is well, however slow they are, while others ask
/// all the time.
#[test]
fn probes_that_last_as_long_as_calls_may_close_it() {
    let mut bench = Bench::with(BreakerLimits::DEFAULT.for_calls_of(5_000 * MS));
    bench.open(REFUSAL);
    bench.now = bench.until();
    for _ in 0..3 {
        let probe = bench.admit().expect("one probe at a time");
        for _ in 0..49 {
            bench.now += 100 * MS;
            assert_eq!(bench.admit(), None);
        }
        bench.report(probe, Report::Success);
    }
    assert_eq!(bench.breaker.phase(), Phase::Closed);
    // A short deadline makes nobody less patient.
    assert_eq!(BreakerLimits::DEFAULT.for_calls_of(25 * MS), BreakerLimits::DEFAULT);
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        for _ in 0..4 {
            bench.call(SILENCE);
        }
        bench.call(Report::Success);
        // Far enough apart that the rate of failures does not matter.
        bench.now += 2 * Duration::from_secs(1);
    }
    assert_eq!(bench.breaker.phase(), Phase::Closed);
    bench.open(SILENCE);
    assert_eq!(bench.turns, [Turn::Opened(Failure::Silence)]);
    bench.now = bench.until() - Duration::from_nanos(1);
    assert_eq!(bench.admit(), None);
}

#[test]
fn half_of_twenty_within_a_second_open_it() {
    let mut bench = Bench::new();
    for pair in 0..10 {
        assert_eq!(bench.breaker.phase(), Phase::Closed, "after {pair} pairs");
        bench.call(Report::Success);
        bench.call(REFUSAL);
        bench.now += 50 * MS;
    }
    assert_eq!(bench.breaker.phase(), Phase::Open(Failure::Refusal));
}

#[test]
fn half_of_nineteen_or_half_spread_over_more_than_a_second_do_not() {
    let mut bench = Bench::new();
    for _ in 0..9 {
        bench.call(REFUSAL);
        bench.call(Report::Success);
    }
    bench.call(REFUSAL);
    assert_eq!(bench.breaker.phase(), Phase::Closed);
    let mut bench = Bench::new();
    for _ in 0..200 {
        bench.call(REFUSAL);
        bench.call(Report::Success);
        // Nine pairs fit a second.
        bench.now += 115 * MS;
    }
    assert_eq!(bench.breaker.phase(), Phase::Closed);
}

#[test]
fn cancelled_calls_count_neither_way() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        bench.call(Report::Inconclusive);
    }
    for _ in 0..4 {
        bench.call(SILENCE);
        bench.call(Report::Inconclusive);
    }
    assert_eq!(bench.breaker.phase(), Phase::Closed);
    bench.call(SILENCE);
    assert_eq!(bench.breaker.phase(), Phase::Open(Failure::Silence));
}

#[test]
fn one_probe_at_a_time_and_three_successes_close_it() {
    let mut bench = Bench::new();
    bench.open(SILENCE);
    bench.now = bench.until();
    for _ in 0..3 {
        let probe = bench.admit().expect("a probe");
        assert_eq!(bench.admit(), None);
        assert_eq!(bench.breaker.phase(), Phase::HalfOpen(Failure::Silence));
        bench.report(probe, Report::Success);
    }
    assert_eq!(bench.turns, [Turn::Opened(Failure::Silence), Turn::HalfOpened, Turn::Closed]);
    // All is forgiven: again it takes five.
    for _ in 0..4 {
        bench.call(SILENCE);
    }
    assert_eq!(bench.breaker.phase(), Phase::Closed);
}

#[test]
fn a_failed_probe_doubles_the_bound_of_the_time_up_to_five_seconds() {
    let mut bench = Bench::new();
    bench.open(SILENCE);
    let mut longest = Duration::ZERO;
    for bound in [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000] {
        let open_for = bench.until() - bench.now;
        assert!(open_for <= bound * MS, "{open_for:?} > {bound} ms");
        longest = longest.max(open_for);
        bench.now = bench.until();
        bench.call(SILENCE);
    }
    // The bound is used, not only respected.
    assert!(longest > 2_500 * MS);
    for _ in 0..100 {
        bench.now = bench.until();
        bench.call(SILENCE);
    }
}

#[test]
fn a_probe_whose_caller_went_away_makes_room_for_the_next() {
    let mut bench = Bench::new();
    bench.open(SILENCE);
    bench.now = bench.until();
    let probe = bench.admit().expect("a probe");
    bench.report(probe, Report::Inconclusive);
    assert!(bench.admit().is_some());
}

#[test]
fn a_probe_that_nobody_finishes_is_given_up_and_its_late_report_ignored() {
    let mut bench = Bench::new();
    bench.open(SILENCE);
    bench.now = bench.until();
    let lost = bench.admit().expect("a probe");
    bench.now += BreakerLimits::DEFAULT.probe_patience - MS;
    assert_eq!(bench.admit(), None);
    bench.now += MS;
    let probe = bench.admit().expect("another probe");
    bench.report(lost, SILENCE);
    assert_eq!(bench.breaker.phase(), Phase::HalfOpen(Failure::Silence));
    bench.report(probe, SILENCE);
    assert_eq!(bench.breaker.phase(), Phase::Open(Failure::Silence));
}

#[test]
fn what_was_asked_before_the_breaker_opened_says_nothing_afterwards() {
    let mut bench = Bench::new();
    let early: Vec<_> = (0..100).map(|_| bench.admit().unwrap()).collect();
    bench.open(SILENCE);
    bench.now = bench.until();
    let probe = bench.admit().expect("a probe");
    for ticket in early {
        bench.report(ticket, SILENCE);
    }
    assert_eq!(bench.breaker.phase(), Phase::HalfOpen(Failure::Silence));
    bench.report(probe, Report::Success);
    assert!(bench.admit().is_some());
}

#[test]
fn a_pong_ends_the_wait_for_a_silent_server_and_not_for_one_that_refuses() {
    let mut bench = Bench::new();
    bench.open(SILENCE);
    assert_eq!(bench.admit(), None);
    bench.breaker.heard(bench.now);
    assert!(bench.admit().is_some());
    let mut bench = Bench::new();
    bench.open(REFUSAL);
    bench.breaker.heard(bench.now);
    assert_eq!(bench.admit(), None);
}

#[test]
fn a_new_connection_ends_the_wait_whatever_opened_the_breaker() {
    for by in [SILENCE, REFUSAL] {
        let mut bench = Bench::new();
        bench.open(by);
        assert_eq!(bench.admit(), None);
        bench.breaker.reconnected(bench.now);
        assert!(bench.admit().is_some(), "{by:?}");
    }
}

#[test]
fn threads_that_rush_at_a_half_open_breaker_send_one_probe_at_a_time() {
    let mut bench = Bench::new();
    bench.open(SILENCE);
    bench.breaker.heard(bench.now);
    // No probe succeeds, and none fails: the breaker stays half-open for the whole test.
    let (breaker, now) = (Mutex::new(bench.breaker), bench.now);
    let (out, most, sent) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let admission = breaker.lock().unwrap().admit(now).0;
                    let Admission::Admit(ticket) = admission else { continue };
                    most.fetch_max(out.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sent.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    out.fetch_sub(1, Ordering::SeqCst);
                    breaker.lock().unwrap().report(ticket, Report::Inconclusive, now);
                }
            });
        }
    });
    assert_eq!(most.into_inner(), 1);
    assert!(sent.into_inner() > 1);
}

/// One thing that happens to a breaker.
#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    Report(Report),
    Heard,
    Reconnected,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Admit),
        2 => Just(Step::Report(Report::Success)),
        3 => Just(Step::Report(SILENCE)),
        2 => Just(Step::Report(REFUSAL)),
        1 => Just(Step::Report(Report::Inconclusive)),
        1 => Just(Step::Heard),
        1 => Just(Step::Reconnected),
        2 => (0_u64..3_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: an open breaker admits nobody before its time, a half-open one admits one
    /// at a time, and it always lets somebody through in the end.
    #[test]
    fn it_never_stops_for_good_and_never_sends_two_probes(steps in prop::collection::vec(step(), 0..400)) {
        let mut bench = Bench::new();
        let mut tickets: Vec<(Ticket, Instant)> = Vec::new();
        for step in steps {
            match step {
                Step::Admit => {
                    let before = bench.breaker.phase();
                    let is_early = matches!(before, Phase::Open(_)) && bench.now < bench.until();
                    let ticket = bench.admit();
                    if is_early {
                        prop_assert!(ticket.is_none());
                    }
                    if let Some(ticket) = ticket {
                        let era = ticket.era;
                        if matches!(bench.breaker.phase(), Phase::HalfOpen(_)) {
                            prop_assert!(
                                tickets.iter().all(|(other, _)| other.era != era),
                                "two probes are out"
                            );
                        }
                        tickets.push((ticket, bench.now));
                    }
                }
                Step::Report(report) => {
                    if let Some((ticket, _)) = tickets.pop() {
                        bench.report(ticket, report);
                    }
                }
                Step::Heard => bench.breaker.heard(bench.now),
                Step::Reconnected => bench.breaker.reconnected(bench.now),
                Step::Wait(millis) => bench.now += Duration::from_millis(millis),
            }
        }
        bench.now += BreakerLimits::DEFAULT.longest_open + BreakerLimits::DEFAULT.probe_patience;
        prop_assert!(bench.admit().is_some(), "nobody is let through any more");
    }

    /// The events alternate as the diagram says.
    #[test]
    fn turns_follow_the_diagram(steps in prop::collection::vec(step(), 0..400)) {
        let mut bench = Bench::new();
        let mut tickets = Vec::new();
        for step in steps {
            match step {
                Step::Admit => tickets.extend(bench.admit()),
                Step::Report(report) => {
                    if let Some(ticket) = tickets.pop() {
                        bench.report(ticket, report);
                    }
                }
                Step::Heard => bench.breaker.heard(bench.now),
                Step::Reconnected => bench.breaker.reconnected(bench.now),
                Step::Wait(millis) => bench.now += Duration::from_millis(millis),
            }
        }
        let mut before = Turn::Closed;
        for turn in bench.turns {
            let is_allowed = matches!(
                (before, turn),
                (Turn::Closed | Turn::HalfOpened, Turn::Opened(_))
                    | (Turn::Opened(_), Turn::HalfOpened)
                    | (Turn::HalfOpened, Turn::Closed)
            );
            prop_assert!(is_allowed, "{before:?} -> {turn:?}");
            before = turn;
        }
    }
}
