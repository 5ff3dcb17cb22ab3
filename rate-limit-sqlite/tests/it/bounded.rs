use std::time::Duration;

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Adjustment, Change, Charge, Charges, ManualClock, RateLimitPolicy, RateLimitRepository,
    RepositoryErrorKind,
};
use rate_limit_sqlite::SqliteRepository;

use crate::support::{Folder, ask, charge, policy, user};

const CAP: u64 = 64;

fn small(folder: &Folder, clock: &ManualClock) -> SqliteRepository {
    SqliteRepository::builder(folder.file()).clock(clock.clone()).max_keys(CAP).build().unwrap()
}

/// The rows there really are.
fn rows(folder: &Folder) -> u64 {
    let file = rusqlite::Connection::open(folder.file()).unwrap();
    let count: i64 = file.query_row("SELECT count(*) FROM bucket", [], |row| row.get(0)).unwrap();
    count.try_into().unwrap()
}

#[test]
fn the_cap_holds_and_the_least_debt_goes_first_and_is_counted() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = small(&folder, &clock);
    let policy = policy(RateLimitPolicy::per_hour(60));
    let debtor = user(1_000_000);
    ask(&store, &debtor, &policy, 60);
    for number in 0..500 {
        ask(&store, &user(number), &policy, 1);
        assert!(store.stats().taken <= CAP);
    }
    assert!(ask(&store, &debtor, &policy, 1).is_violated(), "a flood washes off no debt");
    let stats = store.stats();
    assert_eq!((stats.taken, stats.evicted_in_debt), (CAP, 501 - CAP));
    assert_eq!(stats.forgiven, Duration::from_secs(60) * u32::try_from(501 - CAP).unwrap());
    drop(store);
    assert_eq!(rows(&folder), CAP);
}

/// Charges that follow the first leave the queue behind, which must not cost the debtor its place.
#[test]
fn debt_that_grew_since_it_was_queued_is_seen() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = small(&folder, &clock);
    let policy = policy(RateLimitPolicy::per_hour(60));
    let debtor = user(1_000_000);
    for _ in 0..60 {
        ask(&store, &debtor, &policy, 1);
    }
    for number in 0..500 {
        ask(&store, &user(number), &policy, 2);
    }
    assert!(ask(&store, &debtor, &policy, 1).is_violated());
}

#[test]
fn what_is_as_good_as_new_goes_before_any_debt() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = small(&folder, &clock);
    let (slow, fast) = (
        policy(RateLimitPolicy::per_hour(60).named("slow")),
        policy(RateLimitPolicy::per_second(1).named("fast").aligned_window()),
    );
    for number in 0..32 {
        ask(&store, &user(number), &slow, 1);
        ask(&store, &user(number), &fast, 1);
    }
    clock.advance(Duration::from_millis(1_500));
    for number in 100..132 {
        ask(&store, &user(number), &slow, 1);
    }
    let stats = store.stats();
    assert_eq!((stats.taken, stats.evicted_in_debt), (CAP, 0), "{stats:?}");
}

/// A bucket whose units were given back is as good as new and goes before any that is in debt.
#[test]
fn a_refunded_bucket_goes_first() {
    let ten = || RateLimitPolicy::per_hour(10);
    for builder in [
        ten().token_bucket(),
        ten().fixed_window(),
        ten().aligned_window(),
        ten().sliding_window(),
        ten().sliding_log(),
    ] {
        let (folder, clock) = (Folder::new(), ManualClock::new());
        let store = small(&folder, &clock);
        let policy = policy(builder);
        for number in 0..CAP {
            let who = user(number.try_into().unwrap());
            let charged = ask(&store, &who, &policy, 1).charged.unwrap();
            if number % 2 == 0 {
                let change = Change::Refund(1);
                let (identity, policy) = (who, policy.clone());
                let back = Adjustment { identity, policy, charged, units: 1, change };
                block_on(store.settle(&[back].into_iter().collect())).unwrap();
            }
        }
        for number in 0..CAP / 2 {
            ask(&store, &user((CAP + number).try_into().unwrap()), &policy, 1);
        }
        let stats = store.stats();
        assert_eq!((stats.taken, stats.evicted_in_debt), (CAP, 0), "{policy}: {stats:?}");
    }
}

#[test]
fn a_denial_at_the_cap_forgets_nobody() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = small(&folder, &clock);
    let own = policy(RateLimitPolicy::per_hour(1).named("own"));
    let shared = policy(RateLimitPolicy::per_hour(1).named("shared"));
    for number in 0..64 {
        ask(&store, &user(number), &own, 1);
    }
    let both: Charges = [(0, &own), (777, &shared)]
        .map(|(number, policy)| Charge::new(user(number), policy.clone(), 1))
        .into_iter()
        .collect();
    block_on(store.acquire(&both)).unwrap();
    assert_eq!(store.stats().evicted_in_debt, 0);
}

#[test]
fn the_entries_of_logs_count_and_a_log_that_cannot_fit_is_refused() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = small(&folder, &clock);
    let log = policy(RateLimitPolicy::per_hour(100).sliding_log());
    ask(&store, &user(2), &policy(RateLimitPolicy::per_hour(10).named("other")), 1);
    for _ in 0..CAP {
        ask(&store, &user(1), &log, 1);
        clock.advance(Duration::from_millis(1));
        assert!(store.stats().taken <= CAP);
    }
    assert_eq!(store.stats().taken, CAP, "the other one had to go");
    let one_more = Charges::one(Charge::new(user(1), log.clone(), 1));
    let error = block_on(store.acquire(&one_more)).unwrap_err();
    assert_eq!(error.kind(), RepositoryErrorKind::Misconfigured);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("max_keys = 64"), "{source}");
    assert_eq!(ask(&store, &user(1), &log, 0).remaining, 100 - CAP, "and nothing was charged");
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(ask(&store, &user(1), &log, 1).remaining, 99);
}

#[test]
fn expired_rows_disappear_a_few_with_each_transaction() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = folder.open(&clock);
    let brief = policy(RateLimitPolicy::per_second(1_000));
    let crowd = 1_000;
    for number in 0..crowd {
        ask(&store, &user(number), &brief, 1);
    }
    assert_eq!(store.stats().taken, 1_000);
    clock.advance(Duration::from_secs(60));
    let (mut left, mut steps) = (1_000, 0);
    while left > 1 {
        ask(&store, &user(crowd), &brief, 1);
        let now = store.stats().taken;
        assert!(now < left && left - now <= 16, "from {left} to {now} in one step");
        (left, steps) = (now, steps + 1);
    }
    assert!((60..=200).contains(&steps), "{steps} steps");
    assert_eq!(store.stats().cleared, 1_000, "and nobody was forgotten in debt");
    assert_eq!(store.stats().evicted_in_debt, 0);
    drop(store);
    assert_eq!(rows(&folder), 1);
}

#[test]
fn a_busy_bucket_is_not_cleared() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = folder.open(&clock);
    let minute = policy(RateLimitPolicy::per_minute(60));
    for _ in 0..300 {
        ask(&store, &user(1), &minute, 1);
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(ask(&store, &user(1), &minute, 0).remaining, 60);
    let stats = store.stats();
    assert_eq!(stats.taken, 1, "{stats:?}");
    assert!(ask(&store, &user(1), &minute, 60).remaining == 0);
    clock.advance(Duration::from_secs(59));
    ask(&store, &user(2), &minute, 1);
    assert_eq!(ask(&store, &user(1), &minute, 0).remaining, 59, "its debt is not forgotten");
}

/// A cap that was lowered is reached with the first change.
#[test]
fn a_file_that_holds_more_is_brought_down_to_the_cap() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let policy = policy(RateLimitPolicy::per_hour(60));
    {
        let store = folder.open(&clock);
        for number in 0..200 {
            ask(&store, &user(number), &policy, 1);
        }
    }
    let store = small(&folder, &clock);
    assert_eq!(store.stats().taken, 200);
    ask(&store, &user(1_000), &policy, 1);
    assert_eq!(store.stats().taken, CAP);
}

/// What the README says of the size.
#[test]
fn a_client_takes_little_of_the_disk() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let store = folder.open(&clock);
    let policy = policy(RateLimitPolicy::per_day(60));
    let clients = 40_000_usize;
    for hundred in 0..clients / 100 {
        let one = |number| store.acquire(&charge(&user(100 * hundred + number), &policy, 1));
        let answers: Vec<_> = (0..100).map(one).collect();
        for answer in answers {
            block_on(answer).unwrap();
        }
    }
    let stats = store.stats();
    println!("{} commits for {} calls", stats.commits, stats.calls);
    drop(store);
    let bytes = std::fs::metadata(folder.file()).unwrap().len();
    println!("{} bytes per client", bytes / clients as u64);
    assert!(bytes / (clients as u64) < 100, "{bytes}");
}
