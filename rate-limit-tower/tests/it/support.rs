//! Probe services, stores and parsers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, ManualClock, Outcome, PolicyVerdict,
    RateLimitRepository, Settle, Wait,
};
use rate_limit_memory::MemoryRepository;
use rate_limit_tower::{PeerAddress, RateLimitBody, RateLimitLayer, RateLimitLayerBuilder};
use tower::Service;

pub(crate) type Store = MemoryRepository<ManualClock>;
pub(crate) type Answered = Response<RateLimitBody<Full<Bytes>>>;

/// 2026-01-01T00:00:00Z, where a [`ManualClock`] starts.
pub(crate) const NEW_YEAR: u64 = 1_767_225_600;

pub(crate) fn store(clock: &ManualClock) -> Store {
    MemoryRepository::builder().clock(clock.clone()).build().unwrap()
}

/// A builder on a store in memory; store and layer live by `clock`.
pub(crate) fn limit(clock: &ManualClock) -> RateLimitLayerBuilder<Store> {
    RateLimitLayer::builder(store(clock)).without_fallback().clock(clock.clone())
}

pub(crate) fn request_from(peer: &str) -> Request<()> {
    let peer = PeerAddress((peer.parse::<std::net::IpAddr>().unwrap(), 50_000).into());
    Request::builder().extension(peer).body(()).unwrap()
}

/// A request from the address that tests use when they need only one.
pub(crate) fn request() -> Request<()> {
    request_from("192.0.2.1")
}

/// A request for `path` from the address that tests use when they need only one.
pub(crate) fn get(path: &str) -> Request<()> {
    send("GET", path)
}

/// A request with `method`.
pub(crate) fn send(method: &str, path: &str) -> Request<()> {
    let mut request = request();
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = path.parse().unwrap();
    request
}

/// The statuses of the answers to these requests.
pub(crate) fn statuses_of<S>(
    service: &mut S,
    requests: impl IntoIterator<Item = Request<()>>,
) -> Vec<u16>
where
    S: Service<Request<()>, Response = Answered>,
    S::Error: Debug,
{
    requests
        .into_iter()
        .map(|request| call_now(service, request).unwrap().status().as_u16())
        .collect()
}

/// Whether `service` is ready for a request now.
pub(crate) fn is_ready<S: Service<Request<()>>>(service: &mut S) -> bool {
    let cx = &mut Context::from_waker(Waker::noop());
    matches!(service.poll_ready(cx), Poll::Ready(Ok(())))
}

/// Makes `service` ready, calls it and takes the response, all of which happens at once.
pub(crate) fn call_now<S, B, T>(service: &mut S, request: Request<B>) -> Result<T, S::Error>
where
    S: Service<Request<B>, Response = T>,
    S::Error: Debug,
{
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(cx), Poll::Ready(Ok(()))), "the service is ready at once");
    match pin!(service.call(request)).poll(cx) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the service answers at once"),
    }
}

/// The response to a request from the address that tests use when they need only one.
pub(crate) fn ask<S>(service: &mut S) -> Answered
where
    S: Service<Request<()>, Response = Answered>,
    S::Error: Debug,
{
    call_now(service, request()).unwrap()
}

/// The statuses of `count` requests from `peer`.
pub(crate) fn statuses<S>(service: &mut S, peer: &str, count: usize) -> Vec<u16>
where
    S: Service<Request<()>, Response = Answered>,
    S::Error: Debug,
{
    (0..count).map(|_| call_now(service, request_from(peer)).unwrap().status().as_u16()).collect()
}

/// How many of `count` requests from `peer` pass.
pub(crate) fn passing<S>(service: &mut S, peer: &str, count: usize) -> usize
where
    S: Service<Request<()>, Response = Answered>,
    S::Error: Debug,
{
    statuses(service, peer, count).into_iter().filter(|status| *status == 200).count()
}

/// The field `name` as text; empty if it is missing. Panics if it is there more than once.
pub(crate) fn field<'a>(fields: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = fields.get_all(name).iter();
    let value = values.next().map_or("", |value| value.to_str().unwrap());
    assert!(values.next().is_none(), "{name} is there once");
    value
}

pub(crate) fn number(fields: &HeaderMap, name: &str) -> u64 {
    field(fields, name).parse().unwrap_or_else(|_| panic!("{name} is a number in {fields:?}"))
}

/// The members of a structured list whose items are strings with integer parameters.
pub(crate) fn members(fields: &HeaderMap, name: &str) -> Vec<(String, BTreeMap<String, i64>)> {
    let list: sfv::List = sfv::Parser::new(field(fields, name)).parse().unwrap();
    list.iter()
        .map(|entry| {
            let sfv::ListEntry::Item(item) = entry else { panic!("{name} is a list of items") };
            let policy = item.bare_item.as_string().expect("a policy is named by a string");
            let parameters = item.params.iter().map(|(key, value)| {
                (key.as_str().to_owned(), i64::from(value.as_integer().expect("an integer")))
            });
            (policy.as_str().to_owned(), parameters.collect())
        })
        .collect()
}

/// Every field by which a layer says anything about limits.
pub(crate) const LIMIT_FIELDS: [&str; 5] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit-policy",
    "ratelimit",
];

pub(crate) fn has_no_limit_fields(fields: &HeaderMap) -> bool {
    LIMIT_FIELDS.iter().all(|name| !fields.contains_key(*name))
}

/// The body as JSON.
pub(crate) fn json<B>(response: Response<B>) -> serde_json::Value
where
    B: http_body::Body,
    B::Error: Debug,
{
    serde_json::from_slice(&read(response)).unwrap()
}

/// The body, which is there at once.
pub(crate) fn read<B>(response: Response<B>) -> Bytes
where
    B: http_body::Body,
    B::Error: Debug,
{
    let collected = pin!(response.into_body().collect());
    match collected.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(body) => body.unwrap().to_bytes(),
        Poll::Pending => panic!("the body is there at once"),
    }
}

/// An inner service that notices when it is called without being ready. A clone is not ready, as
/// the documentation of tower's `Service` demands of callers to expect.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    is_ready: bool,
    status: StatusCode,
    fields: HeaderMap,
    calls: Arc<AtomicUsize>,
}

/// An error of the inner service's own.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("the probe failed with {0}")]
pub(crate) struct ProbeFailed(pub(crate) u16);

impl Probe {
    /// Answers every request with `status`.
    pub(crate) fn answering(status: u16) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), ..Self::default() }
    }

    /// Answers every request with this field.
    pub(crate) fn with_field(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.insert(name, value.parse().unwrap());
        self
    }

    /// Counts the calls of this probe and its clones.
    pub(crate) fn calls(&self) -> impl Fn() -> usize + use<> {
        let calls = self.calls.clone();
        move || calls.load(Ordering::SeqCst)
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Self {
            is_ready: false,
            status: self.status,
            fields: self.fields.clone(),
            calls: self.calls.clone(),
        }
    }
}

impl<B> Service<Request<B>> for Probe {
    type Response = Response<Full<Bytes>>;
    type Error = ProbeFailed;
    type Future = Ready<Result<Response<Full<Bytes>>, ProbeFailed>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ProbeFailed>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(self.is_ready, "the probe was called without having been ready");
        self.is_ready = false;
        self.calls.fetch_add(1, Ordering::SeqCst);
        if request.headers().contains_key("x-please-fail") {
            return ready(Err(ProbeFailed(7)));
        }
        let mut response = Response::new(Full::new(Bytes::from_static(b"inner")));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.fields.clone());
        ready(Ok(response))
    }
}

/// A body whose frames come when a test has put them in.
#[derive(Clone, Default)]
pub(crate) struct Frames(Arc<Mutex<(Vec<Frame<Bytes>>, bool)>>);

impl Frames {
    pub(crate) fn put(&self, frame: Frame<Bytes>) {
        self.0.lock().unwrap().0.push(frame);
    }

    pub(crate) fn end(&self) {
        self.0.lock().unwrap().1 = true;
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut state = self.0.lock().unwrap();
        match state.0.is_empty() {
            false => Poll::Ready(Some(Ok(state.0.remove(0)))),
            true if state.1 => Poll::Ready(None),
            true => Poll::Pending,
        }
    }
}

/// A store under whose policies a request can never pass, which otherwise only a cost above the
/// capacity can bring about.
pub(crate) struct Never;

impl RateLimitRepository for Never {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let never = Outcome {
            verdict: PolicyVerdict::Deny,
            remaining: 3,
            reset_nanos: 2_500_000_000,
            wait: Wait::Never,
            charged: None,
        };
        Answer::ready(charges.iter().map(|_| never).collect())
    }

    fn settle(&self, _: &Adjustments) -> Settle {
        Answer::ready(std::iter::empty().collect())
    }
}
