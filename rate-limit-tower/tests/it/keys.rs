//! Whose bucket.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http::{HeaderValue, Request};
use proptest::prelude::*;
use rate_limit_core::ManualClock;
use rate_limit_tower::{
    AccessLists, BoxError, ClientIdentity, IdentityLookup, Key, MissingIdentity, Network,
    RateLimitPolicy, RateLimitPolicyBuilder, RequestHead, Rule, async_trait,
};
use serde_json::json;
use tower::{Layer, Service};

use crate::support::{
    Answered, Probe, call_now, get, has_no_limit_fields, is_ready, json, limit, statuses_of,
};

fn per_day(limit: u64) -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_day(limit).fixed_window()
}

fn with(name: &'static str, value: &[u8]) -> Request<()> {
    let mut request = get("/");
    request.headers_mut().insert(name, HeaderValue::from_bytes(value).unwrap());
    request
}

fn keyed(key: Key) -> impl Service<Request<()>, Response = Answered, Error: std::fmt::Debug> {
    let rule = Rule::new("api").key(key).policy(per_day(1));
    limit(&ManualClock::new()).rule(rule).build().unwrap().layer(Probe::default())
}

#[test]
fn every_api_key_has_a_bucket() {
    let mut service = keyed(Key::api_key("x-api-key"));
    let keys: [&[u8]; 4] = [b"one", b"two", b"one", b"One"];
    let statuses = statuses_of(&mut service, keys.map(|key| with("x-api-key", key)));
    assert_eq!(statuses, [200, 200, 429, 200]);
}

#[test]
fn every_value_of_a_field_has_a_bucket_however_long_it_is() {
    let mut service = keyed(Key::header("X-Tenant"));
    let long = [b'a'; 60_000];
    let other = [b'b'; 60_000];
    let values: [&[u8]; 5] = [b"a", &long, &other, &long, b"a"];
    let statuses = statuses_of(&mut service, values.map(|value| with("x-tenant", value)));
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[test]
fn what_cannot_be_an_identity_counts_as_absent() {
    let too_long = vec![b'a'; ClientIdentity::MAX_VALUE_BYTES + 1];
    for key in [Key::header("x-tenant"), Key::api_key("x-tenant")] {
        let mut service = keyed(key);
        let mut twice = with("x-tenant", b"a");
        twice.headers_mut().append("x-tenant", HeaderValue::from_static("b"));
        let requests = [
            get("/"),
            with("x-tenant", b""),
            with("x-tenant", &too_long),
            twice,
            with("x-tenant", b"\xff"),
        ];
        assert_eq!(statuses_of(&mut service, requests), [200, 429, 429, 429, 429], "one bucket");
        assert_eq!(statuses_of(&mut service, [with("x-tenant", b"a")]), [200]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// K12: bytes that are no visible ASCII are as good as none.
    #[test]
    fn bytes_that_are_no_text_share_the_bucket_of_the_absent(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 1..20)
    ) {
        for key in [Key::header("x-tenant"), Key::api_key("x-tenant")] {
            let mut service = keyed(key);
            let values = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
            let hostile = values.filter(|value| value.to_str().is_err()).map(|value| {
                let mut request = get("/");
                request.headers_mut().insert("x-tenant", value);
                request
            });
            let statuses = statuses_of(&mut service, std::iter::once(get("/")).chain(hostile));
            prop_assert_eq!(statuses.into_iter().filter(|status| *status == 200).count(), 1);
        }
    }
}

/// K13.
#[test]
fn parts_of_a_key_do_not_run_into_each_other() {
    let mut service = keyed(Key::all_of([Key::header("x-a"), Key::header("x-b")]));
    let pair = |a: &'static str, b: &'static str| {
        let mut request = with("x-a", a.as_bytes());
        request.headers_mut().insert("x-b", b.parse().unwrap());
        request
    };
    let requests = [pair("a", "b:c"), pair("a:b", "c"), pair("a", "b:c"), pair("b:c", "a")];
    assert_eq!(statuses_of(&mut service, requests), [200, 200, 429, 200]);
    let incomplete = [with("x-a", b"a"), with("x-a", b"other")];
    assert_eq!(statuses_of(&mut service, incomplete), [200, 429], "absent as a whole");
}

/// Whoever writes paths into a header field spends nobody's bucket but its own.
#[test]
fn a_field_named_path_is_no_path() {
    let rule = |name, key| Rule::new(name).path(format!("/{name}")).key(key);
    let layer = limit(&ManualClock::new())
        .rule(rule("page", Key::path()).policy(per_day(1).named("hits")))
        .rule(rule("field", Key::header("path")).policy(per_day(1).named("hits")))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let mut claiming = get("/field");
    claiming.headers_mut().insert("path", HeaderValue::from_static("/page"));
    assert_eq!(statuses_of(&mut service, [claiming, get("/page")]), [200, 200]);
}

#[test]
fn what_an_outer_layer_found_out() {
    #[derive(Clone)]
    struct User(&'static str);
    let mut service = keyed(Key::extension(|user: &User| ClientIdentity::user(user.0).ok()));
    let from = |user| {
        let mut request = get("/");
        request.extensions_mut().insert(Arc::new(()));
        request.extensions_mut().insert(User(user));
        request
    };
    let statuses =
        ["alice", "bob", "alice"].map(|user| call_now(&mut service, from(user)).unwrap().status());
    assert_eq!(statuses, [200, 200, 429]);
}

/// K16.
#[test]
fn what_a_missing_identity_means_is_a_choice() {
    for (choice, expected) in [
        (MissingIdentity::ShareAnonymous, [200, 429, 429]),
        (MissingIdentity::Reject, [400, 400, 400]),
        (MissingIdentity::Skip, [200, 200, 200]),
    ] {
        let rule = Rule::new("api")
            .key(Key::header("x-user"))
            .policy(per_day(1))
            .on_missing_identity(choice);
        let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
        let mut service = layer.layer(Probe::default());
        assert_eq!(statuses_of(&mut service, (0..3).map(|_| get("/"))), expected, "{choice:?}");
        let known = (0..2).map(|_| with("x-user", b"alice"));
        assert_eq!(statuses_of(&mut service, known), [200, 429]);
    }
}

/// Who is let through or turned away in any case is not asked who it is.
#[test]
fn nobody_misses_the_identity_of_a_client_that_is_exempt_or_blocked() {
    let everywhere = Network::new("0.0.0.0".parse().unwrap(), 0).unwrap();
    let rule = || {
        Rule::new("api")
            .key(Key::header("x-user"))
            .policy(per_day(1))
            .on_missing_identity(MissingIdentity::Reject)
    };
    let builder = || limit(&ManualClock::new());
    for (builder, expected) in [
        (builder().access(AccessLists::new().exempt_network(everywhere)).rule(rule()), 200),
        (builder().access(AccessLists::new().block_network(everywhere)).rule(rule()), 403),
        (builder().exempt(|_| true).rule(rule()), 200),
        (builder().block(|_| true).rule(rule()), 403),
        (builder().rule(rule().block(|_| true)), 403),
        (builder().rule(rule()), 400),
    ] {
        let mut service = builder.build().unwrap().layer(Probe::default());
        assert_eq!(statuses_of(&mut service, [get("/")]), [expected]);
    }
}

#[test]
fn a_request_without_an_identity_is_told_so() {
    let rule = Rule::new("api")
        .key(Key::header("x-user"))
        .policy(per_day(1))
        .on_missing_identity(MissingIdentity::Reject);
    let probe = Probe::default();
    let calls = probe.calls();
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let response = call_now(&mut layer.layer(probe), get("/")).unwrap();
    assert_eq!(calls(), 0);
    assert!(has_no_limit_fields(response.headers()));
    let problem = json(response);
    assert_eq!(problem["status"], 400);
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["title"], json!("Bad Request"));
}

/// K17: who makes keys up is still bounded by the limit per address.
#[test]
fn random_api_keys_are_bounded_by_the_limit_per_address() {
    let layer = limit(&ManualClock::new())
        .per_ip(per_day(10).named("address"))
        .rule(Rule::new("api").key(Key::api_key("x-api-key")).policy(per_day(5)))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let random = (0..1_000).map(|n| with("x-api-key", format!("key-{n}").as_bytes()));
    let statuses = statuses_of(&mut service, random);
    assert_eq!(statuses.into_iter().filter(|status| *status == 200).count(), 10);
}

#[test]
fn no_secret_in_debug_output() {
    let key = Key::all_of([Key::api_key("x-api-key"), Key::ip()]);
    assert_eq!(format!("{key:?}"), "Key(per API key and per IP)");
}

/// Knows whose session it is, once it is released.
#[derive(Clone)]
struct Sessions {
    open: Arc<tokio::sync::Semaphore>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl IdentityLookup for Sessions {
    async fn identify(&self, head: RequestHead) -> Result<Option<ClientIdentity>, BoxError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await?.forget();
        match head.headers().get("x-session").map(HeaderValue::as_bytes) {
            None => Ok(None),
            Some(b"broken") => Err("the database is away".into()),
            Some(session) => Ok(Some(ClientIdentity::user(session)?)),
        }
    }
}

fn sessions(permits: usize) -> Sessions {
    Sessions { open: Arc::new(tokio::sync::Semaphore::new(permits)), asked: Arc::default() }
}

#[test]
fn a_look_up_is_waited_for() {
    let sessions = sessions(0);
    let rule = Rule::new("api").key(Key::lookup(sessions.clone())).policy(per_day(1));
    let probe = Probe::default();
    let calls = probe.calls();
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let mut service = layer.layer(probe);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut begin = |session: &[u8]| {
        assert!(is_ready(&mut service));
        Box::pin(service.call(with("x-session", session)))
    };
    let mut responses = [begin(b"alice"), begin(b"bob"), begin(b"alice")];
    for response in &mut responses {
        assert!(response.as_mut().poll(cx).is_pending());
    }
    assert_eq!(calls(), 0);
    sessions.open.add_permits(3);
    let statuses = responses.map(|mut response| finish(response.as_mut()));
    assert_eq!(statuses, [200, 200, 429]);
}

fn finish<F, E>(response: Pin<&mut F>) -> u16
where
    F: Future<Output = Result<Answered, E>>,
    E: std::fmt::Debug,
{
    match response.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.unwrap().status().as_u16(),
        Poll::Pending => panic!("it was released"),
    }
}

#[test]
fn a_look_up_that_fails_finds_nobody() {
    let rule = Rule::new("api").key(Key::lookup(sessions(100))).policy(per_day(1));
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let requests = [with("x-session", b"broken"), get("/"), with("x-session", b"alice")];
    assert_eq!(statuses_of(&mut service, requests), [200, 429, 200]);
}

#[test]
fn nobody_is_asked_in_vain() {
    let sessions = sessions(100);
    let network = Network::new("192.0.2.0".parse().unwrap(), 24).unwrap();
    for exempt in [false, true] {
        let lists = AccessLists::new();
        let lists =
            if exempt { lists.exempt_network(network) } else { lists.block_network(network) };
        let layer = limit(&ManualClock::new())
            .access(lists)
            .rule(Rule::new("api").key(Key::lookup(sessions.clone())).policy(per_day(1)))
            .build()
            .unwrap();
        call_now(&mut layer.layer(Probe::default()), with("x-session", b"a")).unwrap();
    }
    let layer = limit(&ManualClock::new())
        .rule(Rule::new("api").path("/api").key(Key::lookup(sessions.clone())).policy(per_day(1)))
        .build()
        .unwrap();
    call_now(&mut layer.layer(Probe::default()), with("x-session", b"a")).unwrap();
    assert_eq!(sessions.asked.load(Ordering::SeqCst), 0);
}

#[test]
fn somebody_who_is_exempt_is_asked_for_even_where_all_are_blocked() {
    let everywhere = Network::new("0.0.0.0".parse().unwrap(), 0).unwrap();
    for by_list in [false, true] {
        let sessions = sessions(100);
        let lists = AccessLists::new().exempt_identity(ClientIdentity::user("vip").unwrap());
        let builder = limit(&ManualClock::new());
        let builder = if by_list {
            builder.access(lists.block_network(everywhere))
        } else {
            builder.access(lists).block(|_| true)
        };
        let rule = Rule::new("api").key(Key::lookup(sessions.clone())).policy(per_day(1));
        let mut service = builder.rule(rule).build().unwrap().layer(Probe::default());
        let requests = ["vip", "alice"].map(|user| with("x-session", user.as_bytes()));
        assert_eq!(statuses_of(&mut service, requests), [200, 403]);
        assert_eq!(sessions.asked.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn two_look_ups_find_one_part_each() {
    let (one, two) = (sessions(100), sessions(100));
    let key = Key::all_of([Key::lookup(one.clone()), Key::ip(), Key::lookup(two.clone())]);
    let mut service = keyed(key);
    let requests = ["a", "b", "a"].map(|session| with("x-session", session.as_bytes()));
    assert_eq!(statuses_of(&mut service, requests), [200, 200, 429]);
    assert_eq!(one.asked.load(Ordering::SeqCst), 3);
    assert_eq!(two.asked.load(Ordering::SeqCst), 3);
}

#[test]
fn the_first_key_that_is_there() {
    let user = || Key::header("x-user");
    let mut service = keyed(Key::first_of([user(), Key::ip()]));
    let statuses = statuses_of(
        &mut service,
        [
            with("x-user", b"alice"),
            with("x-user", b"bob"),
            get("/"),
            with("x-user", b"alice"),
            get("/"),
        ],
    );
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(format!("{}", Key::first_of([user(), Key::ip()])), "per `x-user` or else per IP");
    let clash = limit(&ManualClock::new())
        .rule(
            Rule::new("one")
                .path("/a")
                .key(Key::first_of([user(), Key::ip()]))
                .policy(per_day(1).named("api")),
        )
        .rule(Rule::new("two").path("/b").key(Key::ip()).policy(per_day(1).named("api")))
        .build();
    assert!(clash.is_err(), "the address is one of the keys");
}

/// Finds somebody of that name.
struct Named(&'static str);
#[async_trait]
impl IdentityLookup for Named {
    async fn identify(&self, _: RequestHead) -> Result<Option<ClientIdentity>, BoxError> {
        Ok(Some(ClientIdentity::user(self.0)?))
    }
}

/// Also one that was asked in vain, because another key had found somebody before.
#[test]
fn an_answer_that_is_not_needed_is_nobody_elses() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let charged = seen.clone();
    let first = Key::first_of([Key::header("x-user"), Key::lookup(Named("one"))]);
    let rule = Rule::new("api")
        .key(Key::all_of([first, Key::lookup(Named("two"))]))
        .policy(per_day(9))
        .policies_for(move |client, _| {
            charged.lock().unwrap().push(client.clone());
            None
        });
    let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
    let mut service = layer.layer(Probe::default());
    statuses_of(&mut service, [with("x-user", b"alice"), get("/")]);
    let pair = |one| ClientIdentity::all_of(&[one, ClientIdentity::user("two").unwrap()]).unwrap();
    let alice = ClientIdentity::custom("x-user", "alice").unwrap();
    let expected = [pair(alice), pair(ClientIdentity::user("one").unwrap())];
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// A look-up that nobody needs any more must not answer for another key.
#[test]
fn every_lookup_answers_for_its_own_key() {
    let lookup = |name| Key::lookup(Named(name));
    let mut service = keyed(Key::all_of([
        Key::first_of([Key::header("x-user"), Key::all_of([lookup("one"), lookup("two")])]),
        lookup("three"),
    ]));
    // Were the answers mixed up, the identity would lack one, and be shared with the last request.
    let statuses = statuses_of(
        &mut service,
        [
            with("x-user", b"alice"),
            with("x-user", b"bob"),
            get("/"),
            with("x-user", b"bob"),
            get("/"),
        ],
    );
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}
