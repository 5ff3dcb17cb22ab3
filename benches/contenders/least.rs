//! The least that a layer with five fields can do: what ours is compared with besides its peer.
//!
//! One policy, one key, one set of fields, all of it written into the service: the peer's address is
//! charged, and of the fields, only the reset says what the store has answered; the others have
//! texts that are there already, which costs what it costs to pick them. It has no rules and no
//! choices, turns nobody away, hands its decision to nobody and corrects nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use rate_limit_core::{
    Answer, Charge, Charges, ClientIdentity, RateLimitPolicy, RateLimitRepository,
};
use rate_limit_memory::MemoryRepository;
use tower::Service;

const NAMES: [&str; 5] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit",
    "ratelimit-policy",
];

struct Shared {
    store: MemoryRepository,
    policy: Arc<RateLimitPolicy>,
    /// All fields, without values. To copy it is quicker than to hash five names.
    table: HeaderMap,
}

/// See the module documentation.
#[derive(Clone)]
pub(crate) struct Least<S> {
    inner: S,
    shared: Arc<Shared>,
}

pin_project! {
    pub(crate) struct Fielded<F> {
        #[pin]
        response: F,
        fields: HeaderMap,
    }
}

impl<S> Least<S> {
    /// Around `inner`, under `policy`.
    pub(crate) fn new(inner: S, policy: RateLimitPolicy) -> Self {
        let empty = |name| (HeaderName::from_static(name), HeaderValue::from_static(""));
        let table = NAMES.map(empty).into_iter().collect();
        let (store, policy) = (MemoryRepository::new(), Arc::new(policy));
        Self { inner, shared: Arc::new(Shared { store, policy, table }) }
    }
}

impl<S> Service<Request<Body>> for Least<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Fielded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().unwrap().0;
        let identity = ClientIdentity::ip(peer.ip());
        let charges = Charges::one(Charge::new(identity, self.shared.policy.clone(), 1));
        let Answer::Ready(Ok(outcomes)) = self.shared.store.acquire(&charges) else {
            panic!("did not answer at once")
        };
        let outcome = outcomes.get(0).unwrap();
        let fields = self.shared.fields(outcome.remaining, outcome.reset_nanos);
        Fielded { response: self.inner.call(request), fields }
    }
}

impl Shared {
    #[allow(clippy::disallowed_methods, reason = "a benchmark measures what real time takes")]
    fn fields(&self, remaining: u64, reset_nanos: u64) -> HeaderMap {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = u64::try_from(since_epoch.as_nanos()).unwrap();
        let reset = (now + reset_nanos).div_ceil(1_000_000_000);
        let values = [
            HeaderValue::from_static("1000"),
            // The numbers are there already, as in the layer.
            HeaderValue::from_static(if remaining > 990 { "999" } else { "990" }),
            u32::try_from(reset).unwrap().into(),
            HeaderValue::from_static("\"default\";r=999;t=1"),
            HeaderValue::from_static("\"default\";q=1000000;w=1"),
        ];
        let mut fields = self.table.clone();
        for (place, value) in fields.values_mut().zip(values) {
            // What was there owns nothing that would have to be dropped.
            std::mem::forget(std::mem::replace(place, value));
        }
        fields
    }
}

impl<F> Future for Fielded<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.response.poll(cx));
        *response.headers_mut() = std::mem::take(this.fields);
        Poll::Ready(Ok(response))
    }
}
