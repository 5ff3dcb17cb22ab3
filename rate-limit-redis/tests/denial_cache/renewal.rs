//! One request asks for all when a second is over. The store answers when the test says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, ManualClock, Outcome, Outcomes, PolicyVerdict,
    RateLimitPolicy, RateLimitRepository, RepositoryError, RepositoryErrorKind, Settle, Settled,
    Wait,
};
use rate_limit_redis::DenialCache;
use tokio::sync::oneshot;

use crate::support::{SECOND, charge, policy};

type Reply = oneshot::Sender<Result<Outcomes, RepositoryError>>;

/// Calls that wait for the test.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<VecDeque<Reply>>>);

impl Asked {
    fn next(&self) -> Option<Reply> {
        self.0.lock().unwrap().pop_front()
    }
}

impl RateLimitRepository for Asked {
    fn acquire(&self, _charges: &Charges) -> Acquire {
        let (reply, answer) = oneshot::channel();
        self.0.lock().unwrap().push_back(reply);
        Answer::pending(async move { answer.await.unwrap() })
    }

    fn settle(&self, _adjustments: &Adjustments) -> Settle {
        Answer::ready(Settled::from_iter([]))
    }
}

struct Bed {
    clock: ManualClock,
    asked: Asked,
    cache: DenialCache<Asked, ManualClock>,
    charges: Charges,
}

impl Bed {
    /// One denial is remembered, and a second has passed.
    async fn lapsed() -> Self {
        let (clock, asked) = (ManualClock::new(), Asked::default());
        let cache = DenialCache::new(asked.clone(), clock.clone());
        let charges = Charges::one(charge(&policy(RateLimitPolicy::per_minute(1)), 1));
        let bed = Self { clock, asked, cache, charges };
        let first = bed.ask();
        bed.asked.next().unwrap().send(Ok(denial(60 * SECOND))).unwrap();
        first.await.unwrap();
        bed.clock.advance(Duration::from_secs(1));
        bed
    }

    fn ask(&self) -> Acquire {
        self.cache.acquire(&self.charges)
    }
}

fn denial(wait_nanos: u64) -> Outcomes {
    let (wait, reset_nanos) = (Wait::After(wait_nanos), wait_nanos);
    let verdict = PolicyVerdict::Deny;
    Outcomes::one(Outcome { verdict, remaining: 0, reset_nanos, wait, charged: None })
}

fn admission(clock: &ManualClock) -> Outcomes {
    use rate_limit_core::Clock;
    let (verdict, wait) = (PolicyVerdict::Admit, Wait::Now);
    let charged = Some(clock.now());
    Outcomes::one(Outcome { verdict, remaining: 0, reset_nanos: 0, wait, charged })
}

#[tokio::test]
async fn one_asks_and_the_others_hear_of_it() {
    let bed = Bed::lapsed().await;
    let all: Vec<Acquire> = (0..100).map(|_| bed.ask()).collect();
    let reply = bed.asked.next().unwrap();
    assert!(bed.asked.next().is_none(), "nobody else asked");
    reply.send(Ok(denial(59 * SECOND))).unwrap();
    for answer in all {
        assert_eq!(answer.await.unwrap().get(0).unwrap().wait, Wait::After(59 * SECOND));
    }
    assert!(bed.asked.next().is_none());
    assert_eq!(bed.cache.answered(), 99);
    assert!(matches!(bed.ask(), Answer::Ready(Ok(_))), "and it holds for another second");
}

#[tokio::test]
async fn if_there_is_room_after_all_everybody_asks() {
    let bed = Bed::lapsed().await;
    let (first, second) = (bed.ask(), tokio::spawn(bed.ask()));
    bed.asked.next().unwrap().send(Ok(admission(&bed.clock))).unwrap();
    assert!(!first.await.unwrap().get(0).unwrap().is_violated());
    let reply = loop {
        match bed.asked.next() {
            Some(reply) => break reply,
            None => tokio::task::yield_now().await,
        }
    };
    reply.send(Ok(denial(SECOND))).unwrap();
    assert!(second.await.unwrap().unwrap().get(0).unwrap().is_violated());
}

#[tokio::test]
async fn a_failure_is_everybodys() {
    let bed = Bed::lapsed().await;
    let (first, second) = (bed.ask(), bed.ask());
    let failure = RepositoryError::new(RepositoryErrorKind::Timeout);
    bed.asked.next().unwrap().send(Err(failure)).unwrap();
    for answer in [first, second] {
        assert_eq!(answer.await.unwrap_err().kind(), RepositoryErrorKind::Timeout);
    }
    assert!(bed.asked.next().is_none(), "a store that does not answer is not asked twice");
}

#[tokio::test]
async fn if_whoever_asks_gives_up_the_others_ask() {
    let bed = Bed::lapsed().await;
    let (first, second) = (bed.ask(), tokio::spawn(bed.ask()));
    drop(first);
    drop(bed.asked.next().unwrap());
    let reply = loop {
        match bed.asked.next() {
            Some(reply) => break reply,
            None => tokio::task::yield_now().await,
        }
    };
    reply.send(Ok(denial(SECOND))).unwrap();
    assert!(second.await.unwrap().unwrap().get(0).unwrap().is_violated());
}

#[tokio::test]
async fn a_denial_that_was_asked_for_before_a_settlement_is_not_remembered() {
    use rate_limit_core::{Adjustment, Change, ClientIdentity, Timestamp};

    let bed = Bed::lapsed().await;
    let asking = bed.ask();
    let policy = bed.charges.get(0).unwrap().policy().clone();
    let refund = Adjustment {
        identity: ClientIdentity::GLOBAL,
        policy,
        charged: Timestamp::ORIGIN,
        units: 1,
        change: Change::Refund(1),
    };
    bed.cache.settle(&[refund].into_iter().collect()).await.unwrap();
    bed.asked.next().unwrap().send(Ok(denial(59 * SECOND))).unwrap();
    asking.await.unwrap();
    assert!(matches!(bed.ask(), Answer::Pending(_)));
    assert!(bed.asked.next().is_some());
}

#[tokio::test]
async fn the_time_on_the_way_is_nobodys_gain() {
    let (clock, asked) = (ManualClock::new(), Asked::default());
    let cache = DenialCache::new(asked.clone(), clock.clone());
    let charges = Charges::one(charge(&policy(RateLimitPolicy::per_minute(1)), 1));
    let first = cache.acquire(&charges);
    // The store decided somewhere in these twenty milliseconds.
    clock.advance(Duration::from_millis(20));
    asked.next().unwrap().send(Ok(denial(SECOND / 2))).unwrap();
    first.await.unwrap();
    // Told from the arrival, so that whoever waits is not too early.
    let Answer::Ready(Ok(told)) = cache.acquire(&charges) else { panic!("not remembered") };
    assert_eq!(told.get(0).unwrap().wait, Wait::After(SECOND / 2));
    // Believed from the sending, so that nobody is denied for too long.
    clock.advance(Duration::from_millis(480));
    assert!(matches!(cache.acquire(&charges), Answer::Pending(_)));
}
