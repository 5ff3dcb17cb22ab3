//! Several limits, several keys, several groups.

use std::time::Duration;

use http::Request;

use crate::support::{Limited, from, get, request, with};

#[test]
fn the_short_limit_of_a_rule_and_the_long_one() {
    let mut limited = Limited::by(
        r#"
        [[rule]]
        name = "api"
        limit = ["5/s", { limit = 12, window = "1d", algorithm = "fixed_window" }]
        "#,
    );
    assert_eq!(limited.passing(10, request), 5, "per second");
    limited.clock.advance(Duration::from_secs(1));
    assert_eq!(limited.passing(10, request), 5);
    limited.clock.advance(Duration::from_secs(1));
    assert_eq!(limited.passing(10, request), 2, "per day");
    limited.clock.advance(Duration::from_secs(1));
    let told = limited.ask(request());
    // The day says no, so the second was charged nothing, and the wait is that of the day.
    assert_eq!((told.status, told.limit), (429, Some(12)));
    assert_eq!(told.retry_after, Some(86_400 - 3));
}

/// Per card 500 a day, and per address 600 a day.
pub(crate) const TAPS: &str = r#"
[[rule]]
name = "card"
paths = "/tap"
key = "header:x-card"
limit = { limit = 500, window = "1d", algorithm = "fixed_window" }

[[rule]]
name = "reader"
group = "address"
paths = "/tap"
key = "ip"
limit = { limit = 600, window = "1d", algorithm = "fixed_window" }
"#;

fn tap(card: &str) -> Request<()> {
    with(get("/tap"), "x-card", card)
}

#[test]
fn the_501st_tap_of_one_card_is_denied_and_charges_nothing_in_the_other_dimension() {
    let mut limited = Limited::by(TAPS);
    assert_eq!(limited.passing(500, || tap("one")), 500);
    for _ in 0..50 {
        let told = limited.ask(tap("one"));
        assert_eq!((told.status, told.limit), (429, Some(500)));
    }
    // The address has 100 left, however often the card was denied.
    assert_eq!(limited.passing(200, || tap("two")), 100);
    let told = limited.ask(tap("two"));
    assert_eq!((told.status, told.limit), (429, Some(600)));
    // The second card was charged for what passed and for nothing else.
    limited.clock.advance(Duration::from_secs(86_400));
    assert_eq!(limited.passing(600, || tap("two")), 500);
}

#[test]
fn most_specific_in_a_group_and_all_groups_together() {
    let mut limited = Limited::by(
        r#"
        [[rule]]
        name = "api"
        path_prefixes = "/api"
        limit = "100/min"

        [[rule]]
        name = "search"
        paths = "/api/search/{what}"
        limit = "10/min"

        [[rule]]
        name = "write"
        methods = "POST"
        paths = "/api/search/{what}"
        limit = "3/min"

        [[rule]]
        name = "rest"
        limit = "50/min"

        [[rule]]
        name = "system"
        group = "system"
        key = "global"
        limit = "1000/min"
        "#,
    );
    let mut limit_of = |path: &str, method: &str| {
        let mut request = get(path);
        *request.method_mut() = method.parse().unwrap();
        limited.ask(request).limit
    };
    for (path, method, limit) in [
        ("/api", "GET", 100),
        ("/api/users", "GET", 100),
        ("/api/search/cats", "GET", 10),
        ("/api/search/cats", "POST", 3),
        ("/api/search/cats/black", "POST", 100),
        ("/other", "GET", 50),
    ] {
        assert_eq!(limit_of(path, method), Some(limit), "{method} {path}");
    }
    // Everybody was counted in the other group as well: with 994 more, it is exhausted.
    let statuses =
        limited.statuses((0..1_000).map(|n| from(&format!("203.0.{}.{}", n / 250, n % 250))));
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 994);
}

#[test]
fn a_rule_for_a_host() {
    let mut limited = Limited::by(
        r#"
        [[rule]]
        name = "admin"
        host = "admin.example.com"
        limit = "5/min"

        [[rule]]
        name = "sites"
        host = "*.example.com"
        limit = "50/min"

        [[rule]]
        name = "rest"
        limit = "500/min"
        "#,
    );
    for (host, limit) in
        [("admin.example.com:443", 5), ("www.example.com", 50), ("example.com", 500)]
    {
        assert_eq!(limited.ask(with(request(), "host", host)).limit, Some(limit), "{host}");
    }
}

#[test]
fn a_path_that_no_rule_names_passes_without_a_word() {
    let mut limited = Limited::by(
        r#"
        [[rule]]
        name = "login"
        paths = "/login"
        limit = "1/min"
        expose = "none"
        "#,
    );
    let told = limited.ask(get("/other"));
    assert_eq!((told.status, told.limit), (200, None));
    assert_eq!(limited.statuses(["/login", "//login", "/./login"].map(get)), [200, 429, 429]);
    assert_eq!(limited.ask(get("/login")).limit, None, "T09: nothing but when to come back");
    assert_eq!(limited.ask(get("/login")).retry_after, Some(60));
}

/// K17: a key that nobody verifies is bounded by a limit per address.
#[test]
fn made_up_api_keys_are_bounded_by_the_address() {
    let mut limited = Limited::by(
        r#"
        [[rule]]
        name = "keys"
        key = "api_key"
        limit = "10/min"

        [[rule]]
        name = "addresses"
        group = "addresses"
        limit = "30/min"
        "#,
    );
    let asks = |n: usize| with(request(), "x-api-key", &format!("made-up-{n}"));
    let statuses = limited.statuses((0..100).map(asks));
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 30);
}
