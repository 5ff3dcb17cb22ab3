//! Which rule applies.

use http::{Method, Request};
use proptest::prelude::*;
use rate_limit_core::ManualClock;
use rate_limit_core::conformance::doubles::RecordingRepository;
use rate_limit_tower::{
    AccessLists, ClientIdentity, Key, Network, Preflight, RateLimitHandle, RateLimitLayer,
    RateLimitPolicy, RateLimitPolicyBuilder, Rule,
};
use std::sync::Arc;
use tower::{Layer, service_fn};

use crate::support::{
    Probe, call_now, field, get, has_no_limit_fields, limit, request_from, send, statuses_of, store,
};

fn per_day(limit: u64) -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_day(limit).fixed_window()
}

/// The rule under whose policy a request is counted; empty if under none.
fn rule_of<S>(service: &mut S, request: Request<()>) -> String
where
    S: tower::Service<Request<()>, Response = crate::support::Answered>,
    S::Error: std::fmt::Debug,
{
    let response = call_now(service, request).unwrap();
    let policies = field(response.headers(), "ratelimit-policy");
    policies.split('"').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn rules_with_different_paths_count_separately() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("health").path("/health").policy(RateLimitPolicy::per_minute(1_000)))
        .rule(Rule::new("compute").path("/compute").policy(RateLimitPolicy::per_minute(10)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let passing = |statuses: Vec<u16>| statuses.into_iter().filter(|status| *status == 200).count();
    let both = (0..20).flat_map(|_| [get("/compute"), get("/health")]);
    assert_eq!(passing(statuses_of(&mut service, both)), 10 + 20);
    assert_eq!(passing(statuses_of(&mut service, (0..2_000).map(|_| get("/health")))), 980);
}

/// P01.
#[test]
fn all_spellings_of_a_path_share_a_bucket() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("compute").path("/compute").policy(per_day(3)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let spellings = ["/compute/", "//compute", "/%63ompute", "/./compute?x=1", "/compute"];
    let statuses = statuses_of(&mut service, spellings.map(get));
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

/// P01: another case is another path.
#[test]
fn what_reaches_no_handler_shares_the_unmatched_bucket() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("login").path("/login").policy(per_day(100)))
        .rule(Rule::unmatched().policy(per_day(3)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    // To a router, the one with a dot segment may be another path, so it counts as both.
    let login = ["/login", "/login/", "//login", "/./login", "/login?x=1"];
    for path in login {
        assert_eq!(rule_of(&mut service, get(path)), "login", "{path}");
    }
    let others = ["/LOGIN", "/login;x=1", "/login%2F"];
    assert_eq!(statuses_of(&mut service, others.map(get)), [200, 200, 429]);
    assert_eq!(rule_of(&mut service, get("/LOGIN")), "unmatched");
}

/// P03.
#[test]
fn a_million_paths_that_do_not_exist_share_one_bucket_and_one_label() {
    let clock = ManualClock::new();
    let store = Arc::new(store(&clock));
    let layer = RateLimitLayer::builder(store.clone())
        .without_fallback()
        .clock(clock.clone())
        .rule(Rule::new("known").path("/known/{id}").policy(per_day(5)))
        .rule(Rule::unmatched().policy(RateLimitPolicy::per_second(1_000_000).burst(1_000_001)))
        .with_handle()
        .build()
        .unwrap();
    let mut service = layer.layer(service_fn(async |request: Request<()>| {
        let handle = request.extensions().get::<RateLimitHandle>().unwrap();
        assert_eq!(handle.rules().collect::<Vec<_>>(), ["unmatched"]);
        Ok::<_, std::convert::Infallible>(http::Response::new(()))
    }));
    let mut request = get("/");
    let mut last = 0;
    for n in 0..1_000_000 {
        *request.uri_mut() = format!("/{n:x}").parse().unwrap();
        let response = call_now(&mut service, request.clone()).unwrap();
        last = crate::support::number(response.headers(), "x-ratelimit-remaining");
    }
    assert_eq!(last, 1);
    assert_eq!(store.stats().taken, 1, "one bucket");
}

#[test]
fn without_a_rule_the_store_is_not_asked_and_nothing_is_said() {
    let clock = ManualClock::new();
    let store = Arc::new(RecordingRepository::around(store(&clock)));
    let layer = RateLimitLayer::builder(store.clone())
        .without_fallback()
        .rule(Rule::new("login").path("/login").policy(per_day(5)))
        .build()
        .unwrap();
    let response = call_now(&mut layer.layer(Probe::default()), get("/other")).unwrap();
    assert_eq!(response.status(), 200);
    assert!(has_no_limit_fields(response.headers()));
    assert!(store.acquired().is_empty());
}

#[test]
fn the_most_specific_pattern_wins() {
    let clock = ManualClock::new();
    let mut builder = limit(&clock);
    for (name, pattern) in [
        ("rest", "/{*rest}"),
        ("files", "/files/{*rest}"),
        ("file", "/files/{name}"),
        ("readme", "/files/readme"),
        ("json", "/files/{name}.json"),
        ("versions", "/files/{name}/versions"),
    ] {
        builder = builder.rule(Rule::new(name).path(pattern).policy(per_day(1_000)));
    }
    let layer = builder.rule(Rule::new("tree").path_prefix("/tree").policy(per_day(1_000)));
    let mut service = layer.build().unwrap().layer(Probe::default());
    for (path, rule) in [
        ("/", ""),
        ("/a", "rest"),
        ("/files", "rest"),
        ("/files/x", "file"),
        ("/files/readme", "readme"),
        ("/files/x.json", "json"),
        ("/files/x/versions", "versions"),
        ("/files/x/y", "files"),
        ("/files/x/versions/1", "files"),
        ("/tree", "tree"),
        ("/tree/", "tree"),
        ("/tree/a/b", "tree"),
        ("/treehouse", "rest"),
    ] {
        assert_eq!(rule_of(&mut service, get(path)), rule, "{path}");
    }
}

#[test]
fn a_prefix_covers_a_path_and_all_below_it_in_one_bucket() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("compute").path_prefix("/compute").policy(per_day(3)))
        .rule(Rule::new("one").path("/compute/{id}").policy(per_day(1)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let paths =
        ["/compute", "/compute/a/b", "/compute/1", "/compute//a/./b/c", "/compute", "/computer"];
    assert_eq!(statuses_of(&mut service, paths.map(get)), [200, 200, 200, 200, 429, 200]);
    assert_eq!(statuses_of(&mut service, [get("/compute/2")]), [429], "the more specific rule");
}

/// `OPTIONS *` is about the server, and a handler may answer it.
#[test]
fn the_prefix_of_everything_covers_the_target_that_is_no_path() {
    let layer = limit(&ManualClock::new())
        .rule(Rule::new("all").path_prefix("/").policy(per_day(1)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(
        statuses_of(&mut service, [send("OPTIONS", "*"), get("*"), get("/")]),
        [200, 429, 429]
    );
}

#[test]
fn a_named_method_beats_any_method_and_falls_back_to_less_specific_paths() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("any").path("/a").policy(per_day(100)))
        .rule(Rule::new("post").methods([Method::POST]).path("/a").policy(per_day(100)))
        .rule(Rule::new("deep").methods([Method::PUT]).path("/b/c").policy(per_day(100)))
        .rule(Rule::new("wide").path("/b/{x}").policy(per_day(100)))
        .rule(Rule::new("deletes").methods([Method::DELETE]).policy(per_day(100)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    for (method, path, rule) in [
        ("GET", "/a", "any"),
        ("BREW", "/a", "any"),
        ("POST", "/a", "post"),
        ("PUT", "/b/c", "deep"),
        ("GET", "/b/c", "wide"),
        ("DELETE", "/a", "any"),
        ("DELETE", "/elsewhere", "deletes"),
        ("GET", "/elsewhere", ""),
        ("OPTIONS", "*", ""),
    ] {
        assert_eq!(rule_of(&mut service, send(method, path)), rule, "{method} {path}");
    }
}

/// P07.
#[test]
fn head_counts_as_get_unless_it_is_named() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("get").methods([Method::GET]).path("/a").policy(per_day(2)))
        .rule(Rule::new("get-b").methods([Method::GET]).path("/b").policy(per_day(2)))
        .rule(Rule::new("head-b").methods([Method::HEAD]).path("/b").policy(per_day(2)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let requests = [send("HEAD", "/a"), send("GET", "/a"), send("HEAD", "/a"), send("POST", "/a")];
    assert_eq!(statuses_of(&mut service, requests), [200, 200, 429, 200]);
    assert_eq!(rule_of(&mut service, send("HEAD", "/b")), "head-b");
}

/// P07.
#[test]
fn preflights_count_unless_they_are_skipped() {
    for (choice, expected) in
        [(Preflight::Count, [200, 429, 429]), (Preflight::Skip, [200, 200, 200])]
    {
        let clock = ManualClock::new();
        let rule = Rule::new("api").policy(per_day(1)).preflight(choice);
        let mut service = limit(&clock).rule(rule).build().unwrap().layer(Probe::default());
        let preflight = || {
            let mut request = send("OPTIONS", "/");
            request.headers_mut().insert("access-control-request-method", "PUT".parse().unwrap());
            request
        };
        assert_eq!(statuses_of(&mut service, (0..3).map(|_| preflight())), expected);
        let mut plain = limit(&clock).rule(Rule::new("api").policy(per_day(1)).preflight(choice));
        plain = plain.clock(clock.clone());
        let mut service = plain.build().unwrap().layer(Probe::default());
        let options = (0..2).map(|_| send("OPTIONS", "/"));
        assert_eq!(statuses_of(&mut service, options), [200, 429], "not a preflight");
        // Any client can write that field into any request.
        let mut plain = limit(&clock).rule(Rule::new("api").policy(per_day(1)).preflight(choice));
        plain = plain.clock(clock.clone());
        let mut service = plain.build().unwrap().layer(Probe::default());
        let claims = (0..2).map(|_| {
            let mut request = get("/");
            request.headers_mut().insert("access-control-request-method", "PUT".parse().unwrap());
            request
        });
        assert_eq!(statuses_of(&mut service, claims), [200, 429], "no preflight either");
    }
}

#[test]
fn rules_of_different_groups_apply_together_or_not_at_all() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("login").path("/login").policy(per_day(2)))
        .rule(Rule::new("system").group("system").key(Key::global()).policy(per_day(3)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses_of(&mut service, (0..4).map(|_| get("/login"))), [200, 200, 429, 429]);
    // The denied ones have charged nothing, so the system has one left for somebody else.
    let mut other = request_from("192.0.2.2");
    *other.uri_mut() = "/elsewhere".parse().unwrap();
    assert_eq!(statuses_of(&mut service, [other.clone(), other]), [200, 429]);
}

#[test]
fn every_group_may_have_a_rule_for_the_rest() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::unmatched().policy(per_day(9)))
        .rule(Rule::unmatched().group("two").key(Key::global()).policy(per_day(1).named("rest-2")))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses_of(&mut service, [get("/a"), get("/b")]), [200, 429]);
}

#[test]
fn exempt_beats_block_whoever_says_so() {
    let is = |path: &'static str| {
        move |request: &rate_limit_tower::RequestView<'_>| request.path().starts_with(path)
    };
    let network = Network::new("192.0.2.99".parse().unwrap(), 32).unwrap();
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .access(AccessLists::new().exempt_network(network))
        .exempt(is("/health"))
        .block(is("/admin"))
        .block(is("/health"))
        .rule(
            Rule::new("api")
                .policy(per_day(2))
                .exempt(is("/api/free"))
                .block(is("/api"))
                .block(is("/api")),
        )
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let paths = ["/health", "/admin", "/api/free", "/api/paid", "/a", "/b", "/c", "/health"];
    let expected = [200, 403, 200, 403, 200, 200, 429, 200];
    assert_eq!(statuses_of(&mut service, paths.map(get)), expected);
    let mut exempt = request_from("192.0.2.99");
    *exempt.uri_mut() = "/admin".parse().unwrap();
    assert_eq!(statuses_of(&mut service, [exempt]), [200]);
    let response = call_now(&mut service, get("/admin")).unwrap();
    assert!(has_no_limit_fields(response.headers()));
}

/// Whoever is exempt by identity is, also where nothing would be charged, and whoever is not stays
/// blocked.
#[test]
fn an_exempt_identity_beats_every_block() {
    let vip = || ClientIdentity::custom("x-user", "vip").unwrap();
    let lists = || AccessLists::new().exempt_identity(vip());
    let rule = |name| Rule::new(name).key(Key::header("x-user"));
    let everywhere = Network::new("0.0.0.0".parse().unwrap(), 0).unwrap();
    let layers = [
        limit(&ManualClock::new())
            .access(lists())
            .rule(rule("a").policy(per_day(1)).block(|_| true)),
        limit(&ManualClock::new()).access(lists()).rule(rule("b").block(|_| true)),
        limit(&ManualClock::new())
            .access(lists())
            .rule(rule("c").block(|_| true))
            .rule(Rule::new("d").group("d").block(|_| true)),
        limit(&ManualClock::new())
            .access(lists())
            .block(|_| true)
            .rule(rule("e").policy(per_day(1))),
        limit(&ManualClock::new())
            .access(lists().block_network(everywhere))
            .rule(rule("f").policy(per_day(1))),
    ];
    for layer in layers {
        let mut service = layer.build().unwrap().layer(Probe::default());
        let requests = ["vip", "alice", "vip"].map(|user| {
            let mut request = get("/");
            request.headers_mut().insert("x-user", user.parse().unwrap());
            request
        });
        assert_eq!(statuses_of(&mut service, requests), [200, 403, 200]);
    }
}

#[test]
fn an_exempt_rule_leaves_other_groups_alone() {
    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("api").policy(per_day(1)).exempt(|_| true))
        .global(per_day(2).named("system"))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses_of(&mut service, (0..3).map(|_| get("/"))), [200, 200, 429]);
}

#[test]
fn two_rules_may_share_a_policy_and_then_a_bucket() {
    let clock = ManualClock::new();
    let shared = Arc::new(per_day(2).named("writes").build().unwrap());
    let layer = limit(&clock)
        .rule(Rule::new("a").path("/a").policy(shared.clone()))
        .rule(Rule::new("b").path("/b").policy(shared))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses_of(&mut service, ["/a", "/b", "/a", "/b"].map(get)), [200, 200, 429, 429]);
}

#[test]
fn a_bucket_per_path_where_paths_are_few() {
    let clock = ManualClock::new();
    let key = Key::all_of([Key::ip(), Key::path()]);
    let rule = Rule::new("reports").path("/reports/{year}").key(key).policy(per_day(1));
    let mut service = limit(&clock).rule(rule).build().unwrap().layer(Probe::default());
    let paths = ["/reports/1", "/reports/2", "/reports/1/", "/reports//2"];
    assert_eq!(statuses_of(&mut service, paths.map(get)), [200, 200, 429, 429]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// No path, however it is spelled, is free of the limit for all paths.
    #[test]
    fn no_path_escapes(paths in proptest::collection::vec("/[a-z%0-9./;~-]{0,12}", 1..20)) {
        let clock = ManualClock::new();
        let layer = limit(&clock)
            .rule(Rule::new("known").path("/a/{id}").policy(per_day(2)))
            .rule(Rule::unmatched().policy(per_day(2)))
            .build()
            .unwrap();
        let mut service = layer.layer(Probe::default());
        let paths = paths.iter().filter(|path| path.parse::<http::Uri>().is_ok());
        let statuses = statuses_of(&mut service, paths.map(|path| get(path)));
        prop_assert!(statuses.into_iter().filter(|status| *status == 200).count() <= 4);
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn routes_of_axum_are_matched_word_by_word() {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get as route;
    use rate_limit_tower::PeerAddress;
    use tower::ServiceExt;

    let clock = ManualClock::new();
    let layer = limit(&clock)
        .rule(Rule::new("user").matched_path("/users/{id}").policy(per_day(2)))
        .rule(Rule::new("shadowed").path("/users/{x}").policy(per_day(1)))
        .build()
        .unwrap();
    let app: Router = Router::new()
        .route("/users/{id}", route(|| async { "user" }))
        .route("/posts/{id}", route(|| async { "post" }))
        .layer(layer);
    let mut statuses = Vec::new();
    for path in ["/users/1", "/users/2", "/posts/1", "/users/3"] {
        let peer = PeerAddress(([192, 0, 2, 1], 1).into());
        let request = Request::get(path).extension(peer).body(Body::empty()).unwrap();
        statuses.push(app.clone().oneshot(request).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
}

#[test]
fn an_identity_that_is_blocked_by_a_list_is_blocked_under_any_key() {
    let clock = ManualClock::new();
    let mallory = ClientIdentity::custom("x-user", "mallory").unwrap();
    let layer = limit(&clock)
        .access(AccessLists::new().block_identity(mallory))
        .rule(Rule::new("api").key(Key::header("x-user")).policy(per_day(9)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let from = |user: &'static str| {
        let mut request = get("/");
        request.headers_mut().insert("x-user", user.parse().unwrap());
        request
    };
    assert_eq!(statuses_of(&mut service, [from("alice"), from("mallory")]), [200, 403]);
}
