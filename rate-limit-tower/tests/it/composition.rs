//! Which services and bodies the layer fits around.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rate_limit_core::ManualClock;
use rate_limit_tower::{
    Decision, RateLimit, RateLimitBody, RateLimitLayer, RateLimitPolicy, ResponseFuture, Verdict,
};
use tower::{Layer, Service, service_fn};

use crate::support::{Probe, ProbeFailed, Store, call_now, limit, read, request};

fn one(clock: &ManualClock) -> RateLimitLayer<Store> {
    limit(clock).per_ip(RateLimitPolicy::per_day(1).fixed_window()).build().unwrap()
}

#[test]
fn an_inner_error_passes_untouched_and_was_counted() {
    let mut service = one(&ManualClock::new()).layer(Probe::default());
    let mut failing = request();
    failing.headers_mut().insert("x-please-fail", "1".parse().unwrap());
    assert_eq!(call_now(&mut service, failing).err(), Some(ProbeFailed(7)));
    assert_eq!(call_now(&mut service, request()).unwrap().status(), 429);
}

/// T06: a request body that is never sent does not delay the decision.
#[test]
fn the_request_body_is_not_touched() {
    struct Untouchable;
    impl Body for Untouchable {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("the body was polled")
        }
    }
    let mut service = one(&ManualClock::new()).layer(Probe::default());
    for expected in [200, 429] {
        let response = call_now(&mut service, request().map(|()| Untouchable)).unwrap();
        assert_eq!(response.status(), expected);
    }
}

/// A body with trailers and a size that is not known, which is neither `Clone` nor `Default`, and
/// whose error is its own.
struct Peculiar(Vec<Frame<Bytes>>);

#[derive(Debug)]
struct PeculiarError;

impl Body for Peculiar {
    type Data = Bytes;
    type Error = PeculiarError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, PeculiarError>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(3);
        hint
    }
}

async fn peculiar(_: Request<()>) -> Result<Response<Peculiar>, Infallible> {
    let trailers = [("x-checksum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect();
    Ok(Response::new(Peculiar(vec![
        Frame::trailers(trailers),
        Frame::data(Bytes::from_static(b"end")),
    ])))
}

#[test]
fn any_response_body_passes_as_it_is() {
    let mut service = one(&ManualClock::new()).layer(service_fn(peculiar));
    let response = call_now(&mut service, request()).unwrap();
    assert_eq!(response.body().size_hint().lower(), 3);
    assert_eq!(response.body().size_hint().exact(), None);
    let collected = pin!(response.into_body().collect());
    let Poll::Ready(Ok(body)) = collected.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the body is there at once")
    };
    assert_eq!(body.trailers().map(http::HeaderMap::len), Some(1));
    assert_eq!(body.to_bytes(), "end");
}

#[test]
fn the_body_of_a_rejection_says_how_long_it_is() {
    let mut service = one(&ManualClock::new()).layer(service_fn(peculiar));
    call_now(&mut service, request()).unwrap();
    let response = call_now(&mut service, request()).unwrap();
    assert_eq!(response.status(), 429);
    assert!(!response.body().is_end_stream());
    let promised = response.body().size_hint().exact().unwrap();
    assert_eq!(read(response).len() as u64, promised);
}

/// A service without a body at all still composes; only reading the response needs a body.
/// What a layer around this one answers by itself.
#[test]
fn a_default_body_is_that_of_the_inner_service() {
    let body = RateLimitBody::<Full<Bytes>>::default();
    assert!(body.is_end_stream());
    assert_eq!(read(Response::new(body)), "");
}

#[test]
fn a_response_without_a_body_type() {
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    let mut service = one(&ManualClock::new()).layer(inner);
    assert_eq!(call_now(&mut service, request()).unwrap().status(), 200);
    assert_eq!(call_now(&mut service, request()).unwrap().status(), 429);
}

#[cfg(feature = "memory")]
#[tokio::test]
async fn axum_applies_one_limit_to_all_routes_before_it() {
    use axum::Router;
    use axum::routing::get;
    use rate_limit_tower::PeerAddress;
    use tower::ServiceExt;

    let limit = RateLimitLayer::in_memory()
        .per_ip(RateLimitPolicy::per_day(2).fixed_window())
        .build()
        .unwrap();
    let app: Router = Router::new()
        .route("/a", get(|| async { "a" }))
        .route("/b", get(|| async { "b" }))
        .layer(limit)
        .route("/health", get(|| async { "ok" }));
    let mut statuses = Vec::new();
    for path in ["/a", "/b", "/a", "/b", "/health", "/nowhere"] {
        let peer = PeerAddress(([192, 0, 2, 1], 1).into());
        let request = Request::get(path).extension(peer).body(axum::body::Body::empty()).unwrap();
        statuses.push(app.clone().oneshot(request).await.unwrap().status().as_u16());
    }
    // A layer covers the fallback as well, so probing for paths is limited too.
    assert_eq!(statuses, [200, 200, 429, 429, 200, 429]);
}

/// What axum and hyper ask of a service, checked by the compiler.
#[allow(dead_code)]
mod at_compile_time {
    use super::*;

    fn is_send_and_static<T: Send + 'static>() {}
    fn is_sync<T: Sync>() {}
    fn is_clone<T: Clone>() {}
    fn is_debug<T: std::fmt::Debug>() {}
    fn is_default<T: Default>() {}
    fn is_body_of_bytes<T: Body<Data = Bytes> + Send + 'static>() {}
    fn is_service<T, Q, B>()
    where
        T: Service<Request<Q>, Response = Response<RateLimitBody<B>>, Error = Infallible>,
    {
    }

    type AxumRoute = axum::routing::Route;
    type AxumBody = axum::body::Body;

    fn axum() {
        is_service::<RateLimit<AxumRoute, Store>, AxumBody, AxumBody>();
        is_clone::<RateLimit<AxumRoute, Store>>();
        is_send_and_static::<RateLimit<AxumRoute, Store>>();
        is_sync::<RateLimit<AxumRoute, Store>>();
        is_send_and_static::<ResponseFuture<AxumRoute, AxumBody, Store>>();
        is_body_of_bytes::<RateLimitBody<AxumBody>>();
    }

    fn hyper() {
        type Inner =
            tower::util::BoxCloneService<Request<Incoming>, Response<Full<Bytes>>, Infallible>;
        is_service::<RateLimit<Inner, Store>, Incoming, Full<Bytes>>();
        is_send_and_static::<ResponseFuture<Inner, Incoming, Store>>();
        is_body_of_bytes::<RateLimitBody<Full<Bytes>>>();
        is_body_of_bytes::<RateLimitBody<Incoming>>();
    }

    fn layer() {
        is_clone::<RateLimitLayer<Store>>();
        is_debug::<RateLimitLayer<Store>>();
        is_debug::<RateLimit<Probe, Store>>();
        is_debug::<ResponseFuture<Probe, (), Store>>();
        is_debug::<RateLimitBody<Full<Bytes>>>();
        is_default::<RateLimitBody<Full<Bytes>>>();
        is_send_and_static::<RateLimitLayer<Store>>();
        is_sync::<RateLimitLayer<Store>>();
    }
}

/// Nested layers that count in buckets of their own, the inner one closer to exhaustion.
fn nested(inner_limit: u64, tells: bool) -> (u16, String, bool) {
    let clock = ManualClock::new();
    let inner = limit(&clock).per_ip(RateLimitPolicy::per_day(inner_limit).named("inner"));
    let inner = if tells { inner } else { inner.without_decision_in_responses() };
    let outer = limit(&clock).per_ip(RateLimitPolicy::per_day(100).named("outer"));
    let service = inner.build().unwrap().layer(Probe::default());
    let mut service = outer.build().unwrap().layer(service);
    call_now(&mut service, request()).unwrap();
    let response = call_now(&mut service, request()).unwrap();
    let policy = response.headers()["ratelimit-policy"].to_str().unwrap().to_owned();
    let has_decision = response.extensions().get::<Decision>().is_some();
    (response.status().as_u16(), policy, has_decision)
}

#[test]
fn a_layer_that_keeps_its_decision_to_itself_is_spoken_for_unless_it_denies() {
    let (inner, outer) = (|n| format!("\"inner\";q={n};w=86400"), "\"outer\";q=100;w=86400");
    assert_eq!(nested(3, true), (200, inner(3), true));
    assert_eq!(nested(3, false), (200, outer.to_owned(), true));
    // Whoever is turned away is told why, and so are outer layers.
    assert_eq!(nested(1, true), (429, inner(1), true));
    assert_eq!(nested(1, false), (429, inner(1), true));
}

#[test]
fn a_decision_that_nobody_asks_for_can_be_left_out() {
    for tells in [true, false] {
        let layer = limit(&ManualClock::new()).per_ip(RateLimitPolicy::per_day(1));
        let layer = if tells { layer } else { layer.without_decision_in_responses() };
        let mut service = layer.build().unwrap().layer(Probe::default());
        let passed = call_now(&mut service, request()).unwrap();
        assert_eq!(passed.extensions().get::<Decision>().is_some(), tells);
        assert_eq!(passed.headers()["x-ratelimit-remaining"], "0", "the fields are there");
        let denied = call_now(&mut service, request()).unwrap();
        assert_eq!(denied.extensions().get::<Decision>().unwrap().verdict(), Verdict::Deny);
    }
}
