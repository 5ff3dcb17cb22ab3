//! What requests have cost once the response is known.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use rate_limit_core::conformance::doubles::{FailingRepository, SlowRepository};
use rate_limit_core::{ManualClock, RepositoryErrorKind};
use rate_limit_tower::{
    Key, RateLimitHandle, RateLimitLayer, RateLimitPolicy, RateLimitPolicyBuilder, Rule,
};
use tower::{Layer, Service, service_fn};

use crate::support::{
    Frames, Probe, call_now, get, is_ready, limit, number, read, statuses_of, store,
};

fn per_day(limit: u64) -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_day(limit).fixed_window()
}

fn failures() -> Rule {
    Rule::new("login").policy(per_day(2)).count_only(|response| !response.is_success())
}

#[test]
fn only_failures_count() {
    let clock = ManualClock::new();
    let layer = limit(&clock).rule(failures()).build().unwrap();
    let mut right = layer.layer(Probe::answering(204));
    assert_eq!(statuses_of(&mut right, (0..20).map(|_| get("/"))), [204; 20]);
    let mut wrong = layer.layer(Probe::answering(401));
    assert_eq!(statuses_of(&mut wrong, (0..3).map(|_| get("/"))), [401, 401, 429]);
    assert_eq!(statuses_of(&mut right, [get("/")]), [429], "nobody knows whether it is right");
}

#[test]
fn the_fields_show_the_reservation() {
    let layer = limit(&ManualClock::new()).rule(failures()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    for _ in 0..3 {
        let response = call_now(&mut service, get("/")).unwrap();
        assert_eq!(number(response.headers(), "x-ratelimit-remaining"), 1);
    }
}

#[test]
fn many_at_a_time_cannot_slip_through_and_a_dropped_one_stays_charged() {
    let layer = limit(&ManualClock::new()).rule(failures()).build().unwrap();
    let pending = service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let mut service = layer.layer(pending);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut begin = || {
        assert!(is_ready(&mut service));
        Box::pin(service.call(get("/")))
    };
    let mut guesses = [begin(), begin(), begin()];
    assert!(guesses[0].as_mut().poll(cx).is_pending());
    assert!(guesses[1].as_mut().poll(cx).is_pending());
    assert!(matches!(guesses[2].as_mut().poll(cx), Poll::Ready(Ok(r)) if r.status() == 429));
    drop(guesses);
    assert_eq!(statuses_of(&mut layer.layer(Probe::default()), [get("/")]), [429]);
}

#[test]
fn an_inner_error_leaves_the_charge() {
    let layer = limit(&ManualClock::new()).rule(failures()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    for _ in 0..2 {
        let mut failing = get("/");
        failing.headers_mut().insert("x-please-fail", "1".parse().unwrap());
        call_now(&mut service, failing).unwrap_err();
    }
    assert_eq!(statuses_of(&mut service, [get("/")]), [429]);
}

#[test]
fn only_the_rule_that_asks_for_it_gives_back() {
    let layer = limit(&ManualClock::new())
        .rule(failures())
        .global(per_day(3).named("system"))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(statuses_of(&mut service, (0..4).map(|_| get("/"))), [200, 200, 200, 429]);
}

/// One policy on two keys is two buckets, of which one is given something back.
#[test]
fn only_the_key_that_asks_for_it_gets_back() {
    let shared = Arc::new(per_day(2).named("api").build().unwrap());
    let layer = limit(&ManualClock::new())
        .rule(
            Rule::new("user")
                .group("user")
                .key(Key::header("x-user"))
                .policy(shared.clone())
                .count_only(|response| !response.is_success()),
        )
        .rule(Rule::new("address").policy(shared))
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let requests = (0..3).map(|_| {
        let mut request = get("/");
        request.headers_mut().insert("x-user", "alice".parse().unwrap());
        request
    });
    assert_eq!(statuses_of(&mut service, requests), [200, 200, 429]);
}

/// The response is there for nobody before the store has answered, and is not lost.
#[test]
fn a_slow_store_holds_the_response_back() {
    let clock = ManualClock::new();
    let (slow, release) = SlowRepository::around(store(&clock));
    let layer = RateLimitLayer::builder(slow).without_fallback().rule(failures()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..5 {
        assert!(is_ready(&mut service));
        let mut response = Box::pin(service.call(get("/")));
        assert!(response.as_mut().poll(cx).is_pending(), "the decision");
        release.one();
        assert!(response.as_mut().poll(cx).is_pending(), "the correction");
        release.one();
        assert!(matches!(response.as_mut().poll(cx), Poll::Ready(Ok(r)) if r.status() == 200));
        assert!(response.as_mut().poll(cx).is_pending(), "completed only once");
    }
}

/// G18: whoever gives up during the correction is charged at most once, and nothing is left behind.
#[test]
fn a_response_that_is_dropped_during_the_correction() {
    let clock = ManualClock::new();
    let (slow, release) = SlowRepository::around(store(&clock));
    let slow = Arc::new(slow);
    let layer =
        RateLimitLayer::builder(slow.clone()).without_fallback().rule(failures()).build().unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut service = layer.layer(Probe::default());
    assert!(is_ready(&mut service));
    let mut response = Box::pin(service.call(get("/")));
    release.one();
    assert!(response.as_mut().poll(cx).is_pending(), "the correction");
    drop(response);
    release.all();
    let mut wrong = layer.layer(Probe::answering(401));
    let statuses = statuses_of(&mut wrong, (0..3).map(|_| get("/")));
    assert!([[401, 401, 429], [401, 429, 429]].contains(&[statuses[0], statuses[1], statuses[2]]));
    drop((layer, service, wrong));
    assert_eq!(Arc::strong_count(&slow), 1, "nobody holds the store");
}

/// What the fallback has charged, the fallback gives back.
#[test]
fn only_failures_count_during_an_outage_too() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::builder(FailingRepository::always(RepositoryErrorKind::Timeout))
        .fallback(store(&clock))
        .nodes(2)
        .rule(failures())
        .build()
        .unwrap();
    let mut right = layer.layer(Probe::default());
    assert_eq!(statuses_of(&mut right, (0..9).map(|_| get("/"))), [200; 9]);
    let mut wrong = layer.layer(Probe::answering(401));
    assert_eq!(statuses_of(&mut wrong, (0..2).map(|_| get("/"))), [401, 429], "half of two");
}

fn grpc_request() -> Request<()> {
    let mut request = get("/package.Service/Method");
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    request
}

fn grpc_response<B>(body: B) -> Response<B> {
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

fn trailers(status: &str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    Frame::trailers(trailers)
}

/// What kind of client asks changes nothing about what the response was.
#[test]
fn the_content_type_of_a_request_does_not_decide_what_counts() {
    let successes = Rule::new("redeem").policy(per_day(2)).count_only(|r| r.is_success());
    let layer = limit(&ManualClock::new()).rule(successes).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let mut redeemed = 0;
    for _ in 0..5 {
        let response = call_now(&mut service, grpc_request()).unwrap();
        redeemed += u32::from(read(response) == "inner");
    }
    assert_eq!(redeemed, 2);

    let layer = limit(&ManualClock::new()).rule(failures()).build().unwrap();
    let mut service = layer.layer(Probe::default().with_field("grpc-status", "16"));
    let statuses = (0..3).map(|_| call_now(&mut service, get("/")).unwrap().status().as_u16());
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 429], "a failed gRPC call");
}

#[test]
fn the_status_of_a_grpc_call_is_in_the_trailers() {
    let layer = limit(&ManualClock::new()).rule(failures()).build().unwrap();
    let call = |status: Option<&str>| {
        let frames = Frames::default();
        frames.put(Frame::data(Bytes::from_static(b"message")));
        status.into_iter().for_each(|status| frames.put(trailers(status)));
        frames.end();
        let mut service = layer.layer(service_fn(move |_: Request<()>| {
            std::future::ready(Ok::<_, Infallible>(grpc_response(frames.clone())))
        }));
        let response = call_now(&mut service, grpc_request()).unwrap();
        if response.headers().contains_key("grpc-status") {
            return None;
        }
        let mut body = Box::pin(response.into_body().collect());
        match body.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(body)) => Some(body.trailers().is_some()),
            _ => panic!("the body is there at once"),
        }
    };
    for _ in 0..5 {
        assert_eq!(call(Some("0")), Some(true), "the trailers pass");
    }
    assert_eq!(call(Some("16")), Some(true));
    assert_eq!(call(None), Some(false), "no status is no success");
    assert_eq!(call(Some("0")), None, "both were counted");
}

#[test]
fn a_grpc_status_in_the_head_is_believed_at_once() {
    let layer = limit(&ManualClock::new()).rule(failures()).build().unwrap();
    let mut ok = layer.layer(Probe::default().with_field("grpc-status", "0"));
    for _ in 0..5 {
        let response = call_now(&mut ok, grpc_request()).unwrap();
        assert_eq!(response.headers()["grpc-status"], "0");
    }
    let mut failing = layer.layer(Probe::default().with_field("grpc-status", "7"));
    let statuses = [(); 3]
        .map(|()| call_now(&mut failing, grpc_request()).unwrap().headers()["grpc-status"].clone());
    assert_eq!(statuses, ["7", "7", "8"]);
}

#[test]
fn a_grpc_body_that_is_given_up_leaves_the_charge() {
    let layer = limit(&ManualClock::new()).rule(failures()).build().unwrap();
    let frames = Frames::default();
    let mut service = layer.layer(service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(grpc_response(frames.clone())))
    }));
    for _ in 0..2 {
        drop(call_now(&mut service, grpc_request()).unwrap());
    }
    let response = call_now(&mut service, grpc_request()).unwrap();
    assert_eq!(response.headers()["grpc-status"], "8");
}

#[test]
fn a_slow_store_holds_the_trailers_back() {
    let clock = ManualClock::new();
    let (slow, release) = SlowRepository::around(store(&clock));
    let layer = RateLimitLayer::builder(slow).without_fallback().rule(failures()).build().unwrap();
    let frames = Frames::default();
    frames.put(trailers("0"));
    let mut service = layer.layer(service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(grpc_response(frames.clone())))
    }));
    release.one();
    let mut body = Box::pin(call_now(&mut service, grpc_request()).unwrap().into_body());
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(!body.is_end_stream());
    assert!(body.as_mut().poll_frame(cx).is_pending());
    assert!(body.as_mut().poll_frame(cx).is_pending());
    release.one();
    let frame = body.as_mut().poll_frame(cx);
    assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
    assert!(matches!(body.as_mut().poll_frame(cx), Poll::Pending | Poll::Ready(None)));
}

#[test]
fn a_correction_that_fails_at_the_end_of_the_body_is_counted_as_an_error_of_the_store() {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let store =
            FailingRepository::after(1, RepositoryErrorKind::Timeout, store(&ManualClock::new()));
        let layer =
            RateLimitLayer::builder(store).without_fallback().rule(failures()).build().unwrap();
        let frames = Frames::default();
        frames.put(trailers("0"));
        let mut service = layer.layer(service_fn(move |_: Request<()>| {
            std::future::ready(Ok::<_, Infallible>(grpc_response(frames.clone())))
        }));
        let mut body = Box::pin(call_now(&mut service, grpc_request()).unwrap().into_body());
        let frame = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
    });
    let errors = recorder.snapshotter().snapshot().into_vec().into_iter().filter_map(|one| {
        let (key, _, _, value) = one;
        (key.key().name() == "rate_limit_store_errors_total"
            && key.key().labels().any(|label| label.value() == "timeout"))
        .then_some(value)
    });
    assert_eq!(errors.collect::<Vec<_>>(), [metrics_util::debugging::DebugValue::Counter(1)]);
}

/// Answers with a body, and reports costs the way a handler does.
fn reporting(
    report: impl Fn(RateLimitHandle) -> Option<RateLimitHandle> + Clone,
    body: Frames,
) -> impl Service<
    Request<()>,
    Response = Response<Frames>,
    Error = Infallible,
    Future: Future<Output = Result<Response<Frames>, Infallible>>,
> + Clone {
    service_fn(move |mut request: Request<()>| {
        let handle = request.extensions_mut().remove::<RateLimitHandle>().unwrap();
        let mut response = Response::new(body.clone());
        if let Some(held) = report(handle) {
            response.extensions_mut().insert(held);
        }
        std::future::ready(Ok(response))
    })
}

fn with_handle(clock: &ManualClock) -> RateLimitLayer<crate::support::Store> {
    limit(clock)
        .rule(Rule::new("tokens").policy(per_day(100)).cost(10))
        .global(per_day(5).named("requests"))
        .with_handle()
        .build()
        .unwrap()
}

/// What is left of `tokens` after a request that takes nothing more of it than its estimate.
fn tokens_left(layer: &RateLimitLayer<crate::support::Store>) -> u64 {
    let body = Frames::default();
    body.end();
    let left = Arc::new(Mutex::new(0));
    let seen = left.clone();
    let mut service = layer.layer(reporting(
        move |handle| {
            let tokens = handle.decision().enforced().next().unwrap();
            *seen.lock().unwrap() = tokens.outcome().remaining;
            handle.report_cost(0);
            None
        },
        body,
    ));
    let status = call_now(&mut service, get("/")).unwrap().status();
    assert_eq!(status, 200);
    let left = *left.lock().unwrap();
    left + 10
}

#[test]
fn a_reported_cost_replaces_the_estimate() {
    for (actual, left) in [(3, 97), (10, 90), (60, 40), (1_000, 0)] {
        let clock = ManualClock::new();
        let layer = with_handle(&clock);
        let body = Frames::default();
        let mut service = layer.layer(reporting(
            move |handle| {
                handle.report_cost_of("tokens", 77);
                handle.report_cost_of("tokens", actual);
                None
            },
            body,
        ));
        call_now(&mut service, get("/")).unwrap();
        if left >= 10 {
            assert_eq!(tokens_left(&layer), left);
        } else {
            assert_eq!(call_now(&mut service, get("/")).unwrap().status(), 429);
        }
    }
}

#[test]
fn without_a_report_the_estimate_stands() {
    let layer = with_handle(&ManualClock::new());
    let mut service = layer.layer(reporting(|_| None, Frames::default()));
    call_now(&mut service, get("/")).unwrap();
    assert_eq!(tokens_left(&layer), 90);
}

#[test]
fn a_handle_that_is_held_is_waited_for_until_the_body_ends() {
    let layer = with_handle(&ManualClock::new());
    let frames = Frames::default();
    let held = Arc::new(Mutex::new(None));
    let keep = held.clone();
    let keeping = move |handle: RateLimitHandle| {
        *keep.lock().unwrap() = Some(handle);
        None
    };
    let mut service = layer.layer(reporting(keeping, frames.clone()));
    let response = call_now(&mut service, get("/")).unwrap();
    assert_eq!(tokens_left(&layer), 90, "nothing is known yet");
    let handle: RateLimitHandle = held.lock().unwrap().take().unwrap();
    handle.report_cost_of("tokens", 30);
    frames.put(Frame::data(Bytes::from_static(b"done")));
    frames.end();
    assert_eq!(read(response), "done");
    assert_eq!(tokens_left(&layer), 70);
    handle.report_cost_of("tokens", 0);
    assert_eq!(tokens_left(&layer), 70, "settled once");
}

#[test]
fn a_body_of_known_length_need_not_be_asked_for_its_end() {
    let layer = with_handle(&ManualClock::new());
    let held = Arc::new(Mutex::new(None));
    let keep = held.clone();
    let mut service = layer.layer(service_fn(move |mut request: Request<()>| {
        *keep.lock().unwrap() = request.extensions_mut().remove::<RateLimitHandle>();
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"x")))))
    }));
    let response = call_now(&mut service, get("/")).unwrap();
    let handle: RateLimitHandle = held.lock().unwrap().take().unwrap();
    handle.report_cost_of("tokens", 0);
    let mut body = Box::pin(response.into_body());
    let frame = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(frame, Poll::Ready(Some(Ok(_)))));
    drop(body);
    assert_eq!(tokens_left(&layer), 100);
}

#[test]
fn the_handle_knows_the_decision_and_the_rules_but_only_where_it_was_asked_for() {
    let clock = ManualClock::new();
    let layer = with_handle(&clock);
    let looking = |handle: RateLimitHandle| {
        assert_eq!(handle.rules().collect::<Vec<_>>(), ["tokens", "global"]);
        assert_eq!(handle.decision().enforced().count(), 2);
        None
    };
    call_now(&mut layer.layer(reporting(looking, Frames::default())), get("/")).unwrap();
    let without = limit(&clock).per_ip(per_day(1)).build().unwrap();
    let mut service = without.layer(service_fn(async |request: Request<()>| {
        assert!(request.extensions().get::<RateLimitHandle>().is_none());
        Ok::<_, Infallible>(Response::new(()))
    }));
    call_now(&mut service, get("/")).unwrap();
}
