use std::time::Duration;

use rate_limit_core::{Clock, ManualClock, RateLimitPolicy, Wait};
use rate_limit_sqlite::WallClock;

use crate::support::{Folder, ask, policy, user};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE_NANOS: u64 = 60_000_000_000;

/// Each algorithm, with ten units per hour.
fn policies() -> [std::sync::Arc<RateLimitPolicy>; 5] {
    let per_hour = || RateLimitPolicy::per_hour(10);
    [
        per_hour().named("tokens"),
        per_hour().named("fixed").fixed_window(),
        per_hour().named("aligned").aligned_window(),
        per_hour().named("sliding").sliding_window(),
        per_hour().named("log").sliding_log(),
    ]
    .map(policy)
}

/// Red if the store begins with what the clock says.
#[test]
fn a_clock_that_was_set_back_while_the_file_was_closed_refills_nothing_and_locks_nobody_out() {
    for policy in policies() {
        for back in [Duration::from_millis(1), HOUR / 2, 30 * 24 * HOUR] {
            let (folder, clock) = (Folder::new(), ManualClock::new());
            clock.advance(40 * 24 * HOUR);
            let before = {
                let store = folder.open(&clock);
                ask(&store, &user(1), &policy, 10);
                clock.advance(Duration::from_secs(60));
                // Is written, so that the mark is.
                ask(&store, &user(2), &policy, 1);
                ask(&store, &user(1), &policy, 1)
            };
            clock.step_back(back);
            let store = folder.open(&clock);
            let after = ask(&store, &user(1), &policy, 1);
            assert_eq!((after.remaining, after.verdict), (0, before.verdict), "{policy}");
            let (Wait::After(was), Wait::After(is)) = (before.wait, after.wait) else {
                panic!("{policy}: {before:?}, {after:?}");
            };
            if policy.name().as_str() == "aligned" {
                // On the time of day, which is what it is: the window starts over, once.
                assert!(is <= 60 * MINUTE_NANOS, "{policy}: {is}");
            } else {
                assert_eq!(is, was, "{policy}: the file goes on where it was left");
            }
            clock.advance(Duration::from_nanos(is - 1));
            assert!(ask(&store, &user(1), &policy, 1).is_violated(), "{policy}: a tick too early");
            clock.advance(Duration::from_nanos(1));
            assert!(!ask(&store, &user(1), &policy, 1).is_violated(), "{policy}: as told");
        }
    }
}

#[test]
fn the_time_while_the_file_was_closed_counts_if_the_clock_was_right() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let ten = policy(RateLimitPolicy::per_hour(10));
    ask(&folder.open(&clock), &user(1), &ten, 10);
    clock.advance(HOUR / 2);
    assert_eq!(ask(&folder.open(&clock), &user(1), &ten, 0).remaining, 5);
}

/// A clock that lags behind the file is followed again as soon as it has passed it.
#[test]
fn a_lagging_clock_is_followed_once_it_has_caught_up() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    clock.advance(HOUR);
    let ten = policy(RateLimitPolicy::per_hour(10));
    ask(&folder.open(&clock), &user(1), &ten, 10);
    clock.step_back(HOUR / 2);
    // While the clock stands before the mark, what passes while the file is closed does not count.
    clock.advance(HOUR / 4);
    assert_eq!(ask(&folder.open(&clock), &user(1), &ten, 0).remaining, 0);
    clock.advance(HOUR / 4 + HOUR / 2);
    assert_eq!(ask(&folder.open(&clock), &user(1), &ten, 0).remaining, 5);
}

/// Red if the mark is the highest instant and not the latest.
#[test]
fn a_step_back_while_the_file_is_open_is_no_leap_forward_at_the_next_opening() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    clock.advance(HOUR);
    let ten = policy(RateLimitPolicy::per_hour(10));
    {
        let store = folder.open(&clock);
        ask(&store, &user(2), &ten, 1);
        clock.step_back(HOUR / 2);
        ask(&store, &user(1), &ten, 10);
    }
    let store = folder.open(&clock);
    assert_eq!(ask(&store, &user(1), &ten, 0).remaining, 0, "half an hour would be five units");
}

/// The mark is written with the changes of others too, so that it is never older than they are.
#[test]
fn the_mark_is_at_most_a_tenth_of_a_second_behind_the_last_change() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    clock.advance(HOUR);
    let slow = policy(RateLimitPolicy::per_second(1).burst(2));
    {
        let store = folder.open(&clock);
        for number in 0..50 {
            clock.advance(Duration::from_millis(30));
            ask(&store, &user(number), &slow, 1);
        }
    }
    clock.step_back(HOUR);
    let store = folder.open(&clock);
    let Wait::After(nanos) = ask(&store, &user(49), &slow, 2).wait else {
        panic!("the last change is remembered");
    };
    assert!((1_000_000_000..=1_100_000_000).contains(&nanos), "{nanos}");
}

#[test]
fn the_stores_own_clock_begins_with_the_wall_time_and_runs_forward() {
    let clock = WallClock::new();
    let (now, utc) = (clock.now(), clock.utc_now());
    assert!(utc.nanos_since(now) < MINUTE_NANOS && now.nanos_since(utc) < MINUTE_NANOS);
    let later = clock.now();
    assert!(later >= now);
}
