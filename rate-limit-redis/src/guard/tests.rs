use std::future::pending;

use rate_limit_core::RepositoryErrorKind;
use redis_testbed::RedisServer;
use tokio::runtime::Handle;

use super::breaker::BreakerLimits;
use super::*;
use crate::clock::pause;
use crate::health::{BreakerState, Reporter};
use crate::link::LinkOptions;
use crate::url::RedisUrl;

/// A guard before a server that is well, whatever the work does.
async fn guard(server: &RedisServer, limit: Duration, max_in_flight: usize) -> Guard {
    let options = LinkOptions {
        url: RedisUrl::parse(&server.url()).unwrap(),
        deadline: limit,
        connect_timeout: Duration::from_secs(10),
        max_in_flight,
        // A random part of thirty years is long beside a test.
        breaker: BreakerLimits {
            first_open: Duration::from_secs(1_000_000_000),
            longest_open: Duration::from_secs(1_000_000_000),
            ..BreakerLimits::DEFAULT
        },
        #[cfg(feature = "tls")]
        encryption: None,
    };
    let link = Link::open(options, &Handle::current(), Arc::new(Reporter::new()));
    while !link.health().is_well() {
        pause(Duration::from_millis(1)).await;
    }
    Guard::new(link, max_in_flight, limit)
}

fn breaker(guard: &Guard) -> BreakerState {
    guard.link.health().servers[0].breaker
}

#[tokio::test]
async fn work_is_given_up_at_its_deadline_and_five_times_open_the_breaker() {
    let server = RedisServer::start().unwrap();
    let guard = guard(&server, Duration::from_millis(5), 10).await;
    for _ in 0..5 {
        assert_eq!(breaker(&guard), BreakerState::Closed);
        let answer = guard.protect(Slot::ONLY, pending::<Result<(), LinkError>>());
        let Answer::Pending(answer) = answer else { panic!("it should have been tried") };
        assert_eq!(answer.await.unwrap_err().kind(), RepositoryErrorKind::Timeout);
    }
    assert_eq!(breaker(&guard), BreakerState::Open);
}

#[tokio::test]
async fn an_open_breaker_lets_no_work_begin() {
    let server = RedisServer::start().unwrap();
    let guard = guard(&server, Duration::from_secs(5), 10).await;
    for _ in 0..5 {
        let oom = LinkError::Refused { code: "OOM".into(), detail: "".into() };
        let answer = guard.protect(Slot::ONLY, async { Err::<(), _>(oom) });
        assert_eq!(answer.await.unwrap_err().kind(), RepositoryErrorKind::Unavailable);
    }
    let began = std::sync::atomic::AtomicBool::new(false);
    let (began, started) = (Arc::new(began), now());
    for _ in 0..10_000 {
        let began = Arc::clone(&began);
        let work = async move {
            began.store(true, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        };
        let Answer::Ready(Err(error)) = guard.protect(Slot::ONLY, work) else {
            panic!("it was tried")
        };
        assert_eq!(error.kind(), RepositoryErrorKind::Unavailable);
    }
    println!("G13 an open breaker answers in {:?} on average", started.elapsed() / 10_000);
    assert!(!began.load(std::sync::atomic::Ordering::Relaxed));
}

#[tokio::test]
async fn a_step_that_others_left_little_time_says_nothing_about_its_server() {
    let server = RedisServer::start().unwrap();
    let limit = Duration::from_secs(60);
    let guard = guard(&server, limit, 10).await;
    for _ in 0..20 {
        let nearly_over = Deadline { at: now() + Duration::from_millis(1), limit };
        let step = guard.protect_step(nearly_over, Slot::ONLY, pending::<Result<(), _>>());
        assert!(matches!(step.await, Err(LinkError::TimedOut)));
    }
    assert_eq!(breaker(&guard), BreakerState::Closed);
}

#[tokio::test]
async fn whoever_goes_away_leaves_a_place_and_no_mark() {
    let server = RedisServer::start().unwrap();
    let guard = guard(&server, Duration::from_secs(60), 1).await;
    for _ in 0..100 {
        // Dropped before it was polled, and after.
        drop(guard.protect(Slot::ONLY, pending::<Result<(), LinkError>>()));
        let answer = guard.protect(Slot::ONLY, pending::<Result<(), LinkError>>());
        assert!(tokio::time::timeout(Duration::ZERO, answer).await.is_err());
    }
    assert_eq!(breaker(&guard), BreakerState::Closed);
    assert!(guard.protect(Slot::ONLY, async { Ok(()) }).await.is_ok());
}

#[test]
fn a_deadline_leaves_room_for_a_timer_that_rings_late() {
    let (since, limit) = (now(), Duration::from_millis(25));
    assert_eq!(Deadline::of(limit, since).at, since + Duration::from_millis(24));
    // Of a short limit most is left.
    let limit = Duration::from_millis(2);
    assert_eq!(Deadline::of(limit, since).at, since + Duration::from_micros(1_800));
}
