//! Who is exempt or blocked.

use std::time::Duration;

use http::Request;
use sha2::{Digest, Sha256};

use crate::support::{JWT, Limited, bearing, claims, from, request, sign, with};

fn digest(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lists(lists: &str) -> Limited {
    Limited::by(&format!("[[rule]]\nname = \"api\"\nlimit = \"1/h\"\n{lists}{JWT}"))
}

fn agent(agent: &str) -> Request<()> {
    with(request(), "user-agent", agent)
}

/// Whoever is exempt asks three times although once is allowed; whoever is blocked never.
fn statuses(limited: &mut Limited, request: impl Fn() -> Request<()>) -> Vec<u16> {
    limited.statuses((0..3).map(|_| request()))
}

#[test]
fn whoever_is_exempt_is_not_counted() {
    let mut limited = lists(&format!(
        "[[exempt]]\nnetworks = [\"10.0.0.0/8\", \"2001:db8::/32\"]\nusers = \"alice\"\n\
         api_keys = \"{}\"\nuser_agents = \"uptime-probe\"\n",
        digest("the key"),
    ));
    let alice = || bearing(from("203.0.113.1"), &sign(&claims("alice")));
    let requests: [(&str, &dyn Fn() -> Request<()>); 5] = [
        ("network", &|| from("10.1.2.3")),
        ("IPv6", &|| from("2001:db8::5")),
        ("user", &alice),
        ("key", &|| with(from("203.0.113.2"), "x-api-key", "the key")),
        ("agent", &|| agent("Mozilla/5.0 Uptime-Probe/3")),
    ];
    for (name, request) in requests {
        assert_eq!(statuses(&mut limited, request), [200; 3], "{name}");
        assert_eq!(limited.ask(request()).limit, None, "{name}: no limit, no fields");
    }
    let others: [(&str, &dyn Fn() -> Request<()>); 4] = [
        ("network", &|| from("11.1.2.3")),
        ("user", &|| bearing(from("203.0.113.3"), &sign(&claims("alicia")))),
        ("forged user", &|| bearing(from("203.0.113.5"), "a.b.c")),
        ("key", &|| with(from("203.0.113.4"), "x-api-key", "the kez")),
    ];
    for (name, request) in others {
        assert_eq!(statuses(&mut limited, request), [200, 429, 429], "another {name}");
    }
}

#[test]
fn whoever_is_blocked_does_not_pass_and_exempt_beats_block() {
    let mut limited = lists(
        "[[block]]\nnetworks = \"198.51.100.0/24\"\nuser_agents = [\"scraper\", \"bot\"]\n\
         [[exempt]]\nnetworks = \"198.51.100.7\"\n",
    );
    assert_eq!(statuses(&mut limited, || from("198.51.100.1")), [403; 3]);
    assert_eq!(statuses(&mut limited, || agent("Evil SCRAPER 1.0")), [403; 3]);
    assert_eq!(statuses(&mut limited, || from("198.51.100.7")), [200; 3]);
    assert_eq!(statuses(&mut limited, || agent("curl")), [200, 429, 429]);
}

#[test]
fn an_entry_ends_when_it_says_so() {
    let mut limited = lists(
        "[[block]]\nnetworks = \"198.51.100.0/24\"\nuntil = 2026-01-01T01:00:00Z\n\
         [[block]]\nnetworks = \"203.0.113.0/24\"\nuser_agents = \"scraper\"\n\
         [[block]]\nuser_agents = \"scraper\"\nuntil = 2026-01-01T00:00:01Z\n",
    );
    assert_eq!(limited.ask(from("198.51.100.1")).status, 403);
    limited.clock.advance(Duration::from_secs(3_600) - Duration::from_nanos(1));
    assert_eq!(limited.ask(from("198.51.100.1")).status, 403);
    limited.clock.advance(Duration::from_nanos(1));
    assert_eq!(limited.ask(from("198.51.100.1")).status, 200);
    assert_eq!(limited.ask(from("203.0.113.1")).status, 403, "this one never ends");
    assert_eq!(limited.ask(agent("scraper")).status, 403, "of two, the one that lasts longer");
}
