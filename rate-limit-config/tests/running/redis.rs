//! The same rules on counters in Redis. What the store keeps has tests of its own; here it is seen
//! that what a file says arrives there.

use std::time::Duration;

use rate_limit_core::ManualClock;
use rate_limit_redis::RedisRepository;
use redis_testbed::RedisServer;
use tokio::runtime::Runtime;

use crate::bans;
use crate::support::{JWT, Limited, bearing, claiming, get, request, with};

/// A server, and the runtime in which whoever talks to it lives.
struct Shared {
    server: RedisServer,
    runtime: Runtime,
}

impl Shared {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        Self { server: RedisServer::start().unwrap(), runtime }
    }

    /// One process of several that share the server, and the clock that the test moves.
    fn process(&self, clock: &ManualClock, text: &str) -> Limited {
        let store = RedisRepository::builder(self.server.url())
            .timeout(Duration::from_secs(10))
            .without_denial_cache()
            .clock(clock.clone())
            .build()
            .unwrap();
        let connected = || store.health().is_well();
        redis_testbed::until("connected", Duration::from_secs(30), connected).unwrap();
        Limited::on(store, clock.clone(), text)
    }
}

#[test]
fn the_ladder_climbs_and_decays_in_redis() {
    let shared = Shared::new();
    let _inside = shared.runtime.enter();
    bans::climbs_and_decays(&mut shared.process(&ManualClock::new(), bans::LADDER));
}

#[test]
fn a_ban_holds_in_every_process_and_outlives_the_one_that_caused_it() {
    let shared = Shared::new();
    let _inside = shared.runtime.enter();
    let clock = ManualClock::new();
    let mut one = shared.process(&clock, bans::LADDER);
    assert_eq!(bans::until_banned(&mut one), 60);
    drop(one);
    let mut other = shared.process(&clock, bans::LADDER);
    let told = other.ask(request());
    assert_eq!((told.status, told.retry_after), (429, Some(60)));
}

/// A reload in one process, and a change of the tier, forgive nothing that was used in another.
#[test]
fn what_was_used_stays_used_under_versions_side_by_side() {
    let shared = Shared::new();
    let _inside = shared.runtime.enter();
    let clock = ManualClock::new();
    let text = |limit: u64| {
        format!(
            "[[rule]]\nname = \"api\"\nkey = \"user\"\nlimit = \"{limit}/min\"\n\
             [tiers.gold]\napi = \"1000/min\"\n{JWT}"
        )
    };
    let (mut one, mut other) =
        (shared.process(&clock, &text(100)), shared.process(&clock, &text(100)));
    assert_eq!(one.passing(60, request), 60);
    one.apply(&text(200));
    let told = one.ask(request());
    assert_eq!((told.limit, told.remaining), (Some(200), Some(79)));
    let told = other.ask(request());
    assert_eq!((told.limit, told.remaining), (Some(100), Some(38)), "as the older version counts");

    let alice = |tier: &str| bearing(request(), &claiming("alice", "tier", tier.into()));
    assert_eq!(one.passing(100, || alice("none")), 100, "half of 200");
    let told = other.ask(alice("gold"));
    assert_eq!((told.limit, told.remaining), (Some(1_000), Some(499)), "half of 1000, and one");
}

/// Per card 500 a day and per address 600: one atomic step of two scripts' worth of keys.
#[test]
fn two_dimensions_in_redis() {
    let shared = Shared::new();
    let _inside = shared.runtime.enter();
    let mut limited = shared.process(&ManualClock::new(), crate::rules::TAPS);
    let tap = |card: &str| with(get("/tap"), "x-card", card);
    assert_eq!(limited.passing(501, || tap("one")), 500);
    assert_eq!(limited.passing(101, || tap("two")), 100);
}
