//! What requests get while the store does not answer, as the file says.

use std::sync::Arc;

use rate_limit_config::ConfiguredLayer;
use rate_limit_core::conformance::doubles::FailingRepository;
use rate_limit_core::{
    Acquire, Adjustments, Charges, ManualClock, RateLimitRepository, RepositoryErrorKind, Settle,
};
use rate_limit_memory::MemoryRepository;

use crate::support::{Limited, get, read};

/// A store that the test takes away and brings back.
#[derive(Clone)]
struct Away(Arc<FailingRepository<MemoryRepository<ManualClock>>>);

impl RateLimitRepository for Away {
    fn acquire(&self, charges: &Charges) -> Acquire {
        self.0.acquire(charges)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.0.settle(adjustments)
    }
}

/// One rule for each choice, and one that says nothing.
const RULES: &str = r#"
[store]
url = "redis://store.example.com"
nodes = 4
on_failure = "allow"

[[rule]]
name = "share"
paths = "/local"
limit = { limit = 20, window = "1h" }
on_failure = "local"

[[rule]]
name = "login"
paths = "/deny"
limit = { limit = 20, window = "1h" }
on_failure = "deny"

[[rule]]
name = "free"
paths = "/allow_unlimited"
limit = { limit = 20, window = "1h" }
on_failure = "allow_unlimited"

[[rule]]
name = "rest"
limit = { limit = 20, window = "1h" }
"#;

fn limited() -> (Limited, Away) {
    let clock = ManualClock::new();
    let memory = || MemoryRepository::builder().clock(clock.clone()).build().unwrap();
    let away = FailingRepository::after(u64::MAX, RepositoryErrorKind::Timeout, memory());
    let away = Away(Arc::new(away));
    let builder = ConfiguredLayer::builder(away.clone()).fallback(memory());
    (Limited::built(builder, clock, read(RULES)), away)
}

/// How many of 30 requests pass, and the status of the first one that does not.
fn outcome(limited: &mut Limited, path: &str) -> (usize, Option<u16>) {
    let statuses = limited.statuses((0..30).map(|_| get(path)));
    let passed = statuses.iter().filter(|status| **status == 200).count();
    (passed, statuses.into_iter().find(|status| *status != 200))
}

#[test]
fn every_rule_has_its_own_failure_mode() {
    let (mut limited, away) = limited();
    away.0.fail();
    assert_eq!(outcome(&mut limited, "/local"), (5, Some(429)), "a quarter: there are four nodes");
    assert_eq!(outcome(&mut limited, "/deny"), (0, Some(503)));
    assert_eq!(outcome(&mut limited, "/allow_unlimited"), (30, None));
    assert_eq!(outcome(&mut limited, "/other"), (20, Some(503)), "as [store] says");
    away.0.recover();
    for path in ["/local", "/deny", "/allow_unlimited", "/other"] {
        assert_eq!(outcome(&mut limited, path), (20, Some(429)), "{path}: the store has room");
    }
}

/// It is part of the rules and not of the store, so it needs no restart.
#[test]
fn a_failure_mode_changes_while_the_program_runs() {
    let (mut limited, away) = limited();
    away.0.fail();
    assert_eq!(limited.ask(get("/other")).status, 200);
    let denying = RULES.replace("on_failure = \"allow\"", "on_failure = \"deny\"");
    let applied = limited.layer.apply(read(&denying)).unwrap();
    assert_eq!(applied.needs_restart, [""; 0]);
    assert_eq!(limited.ask(get("/other")).status, 503);
    assert_eq!(limited.ask(get("/allow_unlimited")).status, 200);
}
