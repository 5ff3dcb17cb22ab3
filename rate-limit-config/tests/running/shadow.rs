//! Rules that only watch, for everybody or for some.

use std::collections::BTreeSet;

use rate_limit_tower::Decision;
use tower::{Service, ServiceExt};

use crate::support::{Counted, Limited, Told, from, listening, now, request};

const SHADOW: &str = r#"
[[rule]]
name = "candidate"
mode = "shadow"
limit = { limit = 3, window = "1h", algorithm = "fixed_window" }
"#;

fn share(percent: u8) -> String {
    SHADOW.replace("mode = \"shadow\"", &format!("enforce_percent = {percent}"))
}

#[test]
fn a_rule_in_shadow_mode_denies_nobody_and_is_heard_by_operators_only() {
    let counted = Counted::during(|| {
        let mut limited = Limited::by(SHADOW);
        for n in 0..10 {
            let response = now(now(limited.service.ready()).unwrap().call(request())).unwrap();
            let told = Told::of(&response);
            assert_eq!((told.status, told.limit, told.retry_after), (200, None, None));
            let decision = response.extensions().get::<Decision>().unwrap();
            let would_deny: Vec<_> =
                decision.would_deny().map(|one| one.policy().name().as_str()).collect();
            let expected: &[&str] = if n < 3 { &[] } else { &["candidate"] };
            assert_eq!(would_deny, expected, "request {n}");
        }
    });
    let labels = [("rule", "candidate"), ("outcome", "would_deny")];
    assert_eq!(counted.count("rate_limit_requests_total", &labels), Some(7));
}

#[test]
fn what_would_have_been_denied_is_logged() {
    let lines = listening(|| {
        let mut limited = Limited::by(SHADOW);
        limited.passing(10, request);
    });
    let line = lines.lines().find(|line| line.contains("would_deny")).unwrap();
    assert!(line.contains("candidate"), "{line}");
    assert!(!lines.contains("192.0.2.1"), "O02: no address in logs");
}

/// Which of 400 clients can be denied.
fn enforced(limited: &mut Limited) -> BTreeSet<String> {
    let clients = (0..400).map(|n| format!("203.0.{}.{}", n / 200, n % 200));
    clients.filter(|client| limited.passing(5, || from(client)) < 5).collect()
}

#[test]
fn a_share_of_all_identities_is_enforced_and_stays_it() {
    let mut before = BTreeSet::new();
    for percent in [1, 10, 50, 90, 99] {
        let mut limited = Limited::by(&share(percent));
        let now = enforced(&mut limited);
        assert!(now.is_superset(&before), "nobody leaves when the share grows to {percent}");
        let expected = 4 * usize::from(percent);
        assert!(now.len().abs_diff(expected) <= 50, "{percent}: {} of 400", now.len());
        // The same ones again, by another layer in another process, as it were.
        assert_eq!(enforced(&mut Limited::by(&share(percent))), now);
        before = now;
    }
    assert_eq!(enforced(&mut Limited::by(&share(100))).len(), 400);
}

#[test]
fn a_share_that_grows_while_the_program_runs_forgives_nothing() {
    let mut limited = Limited::by(&share(1));
    let clients: Vec<_> = (0..50).map(|n| format!("203.0.113.{n}")).collect();
    let passing: Vec<_> =
        clients.iter().map(|client| limited.passing(5, || from(client))).collect();
    assert!(passing.contains(&5), "most of them are only watched");
    limited.apply(&share(100));
    let statuses = limited.statuses(clients.iter().map(|client| from(client)));
    assert_eq!(statuses, [429; 50], "what they used while they were watched counts");
}
