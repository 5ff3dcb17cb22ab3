//! Layers, requests and tokens.

use std::future::{Ready, ready};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use metrics::{SharedString, Unit};
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use rate_limit_config::{
    Configuration, Configured, ConfiguredLayer, ConfiguredLayerBuilder, Environment,
};
use rate_limit_core::conformance::block_on;
use rate_limit_core::{ManualClock, RateLimitRepository};
use rate_limit_memory::MemoryRepository;
use rate_limit_tower::{PeerAddress, RateLimitBody};
use serde_json::{Value, json};
use tower::{Layer, Service as _, ServiceExt};

pub(crate) type Answered = Response<RateLimitBody<Full<Bytes>>>;
pub(crate) type Echo =
    fn(Request<()>) -> Ready<Result<Response<Full<Bytes>>, std::convert::Infallible>>;
pub(crate) type Service = Configured<tower::util::ServiceFn<Echo>>;

/// When a [`ManualClock`] starts, in seconds since the epoch.
pub(crate) const NEW_YEAR: u64 = 1_767_225_600;
const SECRET: &str = "a secret of at least thirty-two bytes";

/// A layer, and a service behind it.
pub(crate) struct Limited {
    pub(crate) layer: ConfiguredLayer,
    pub(crate) service: Service,
    pub(crate) clock: ManualClock,
}

pub(crate) fn read(text: &str) -> Configuration {
    Configuration::from_toml("limits.toml", text, &Environment::empty())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A service that answers with the status that the field `x-answer` says.
pub(crate) fn echo() -> tower::util::ServiceFn<Echo> {
    tower::service_fn(|request: Request<()>| {
        let status = request.headers().get("x-answer");
        let status =
            status.map_or(StatusCode::OK, |status| status.to_str().unwrap().parse().unwrap());
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        ready(Ok(response))
    })
}

impl Limited {
    /// By a rules file with this text, on a store in memory.
    pub(crate) fn by(text: &str) -> Self {
        let clock = ManualClock::new();
        let store = MemoryRepository::builder().clock(clock.clone()).build().unwrap();
        Self::on(store, clock, text)
    }

    /// The same on any store, which has this clock.
    pub(crate) fn on(
        store: impl RateLimitRepository + 'static,
        clock: ManualClock,
        text: &str,
    ) -> Self {
        Self::built(ConfiguredLayer::builder(store).without_fallback(), clock, read(text))
    }

    /// The layer that a builder makes of a configuration.
    pub(crate) fn built(
        builder: ConfiguredLayerBuilder,
        clock: ManualClock,
        configuration: Configuration,
    ) -> Self {
        let layer = builder.clock(clock.clone()).build(configuration).unwrap();
        Self { service: layer.layer(echo()), layer, clock }
    }

    pub(crate) fn apply(&self, text: &str) {
        self.layer.apply(read(text)).unwrap();
    }

    pub(crate) fn ask(&mut self, request: Request<()>) -> Told {
        // Not every store answers at once.
        let response = block_on(now(self.service.ready()).unwrap().call(request)).unwrap();
        Told::of(&response)
    }

    /// The statuses of these requests.
    pub(crate) fn statuses(&mut self, requests: impl IntoIterator<Item = Request<()>>) -> Vec<u16> {
        requests.into_iter().map(|request| self.ask(request).status).collect()
    }

    /// How many of `count` such requests pass.
    pub(crate) fn passing(&mut self, count: usize, request: impl Fn() -> Request<()>) -> usize {
        let statuses = self.statuses((0..count).map(|_| request()));
        statuses.into_iter().filter(|status| *status == 200).count()
    }
}

/// What a future yields that has no reason to wait.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("this has to be there at once"),
    }
}

/// What a client was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) limit: Option<u64>,
    pub(crate) remaining: Option<u64>,
    pub(crate) retry_after: Option<u64>,
}

impl Told {
    pub(crate) fn of(response: &Answered) -> Self {
        let number =
            |name: &str| Some(response.headers().get(name)?.to_str().unwrap().parse().unwrap());
        Self {
            status: response.status().as_u16(),
            limit: number("x-ratelimit-limit"),
            remaining: number("x-ratelimit-remaining"),
            retry_after: number("retry-after"),
        }
    }
}

/// A request for `/` from the address that tests use when they need only one.
pub(crate) fn request() -> Request<()> {
    from("192.0.2.1")
}

pub(crate) fn from(peer: &str) -> Request<()> {
    let peer = PeerAddress((peer.parse::<std::net::IpAddr>().unwrap(), 50_000).into());
    Request::builder().uri("/").extension(peer).body(()).unwrap()
}

pub(crate) fn get(path: &str) -> Request<()> {
    let mut request = request();
    *request.uri_mut() = path.parse().unwrap();
    request
}

pub(crate) fn with(mut request: Request<()>, field: &'static str, value: &str) -> Request<()> {
    request.headers_mut().append(field, value.parse().unwrap());
    request
}

/// The section of a rules file by which the tokens of [`token`] are verified.
pub(crate) const JWT: &str = r#"
[identity.jwt]
issuer = ["https://issuer.example", "https://other.example"]
audience = "api"

[[identity.jwt.key]]
algorithm = "HS256"
secret = "a secret of at least thirty-two bytes"
"#;

/// What a good token says.
pub(crate) fn claims(user: &str) -> Value {
    json!({
        "iss": "https://issuer.example", "aud": "api", "sub": user, "exp": NEW_YEAR + 3_600,
    })
}

/// A good token that says this too.
pub(crate) fn claiming(user: &str, claim: &str, value: Value) -> String {
    let mut claims = claims(user);
    claims[claim] = value;
    sign(&claims)
}

pub(crate) fn sign(claims: &Value) -> String {
    sign_with(claims, SECRET)
}

pub(crate) fn sign_with(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

pub(crate) fn bearing(request: Request<()>, token: &str) -> Request<()> {
    with(request, "authorization", &format!("Bearer {token}"))
}

/// What was counted, by name and labels.
pub(crate) struct Counted(Vec<(CompositeKey, Option<Unit>, Option<SharedString>, DebugValue)>);

impl Counted {
    /// What is counted while `test` runs, on this thread.
    pub(crate) fn during(test: impl FnOnce()) -> Self {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        metrics::with_local_recorder(&recorder, test);
        Self(snapshotter.snapshot().into_vec())
    }

    /// The counter with this name and these labels, if there is one.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let is_meant = |key: &metrics::Key| {
            let has = |(label, value): &(&str, &str)| {
                key.labels().any(|one| one.key() == *label && one.value() == *value)
            };
            key.name() == name && labels.iter().all(has)
        };
        let found = self.0.iter().find(|(key, ..)| is_meant(key.key()))?;
        match found.3 {
            DebugValue::Counter(count) => Some(count),
            _ => None,
        }
    }

    /// Everything, for looking for what must not be there.
    pub(crate) fn shown(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// The lines that `test` logs, on this thread.
pub(crate) fn listening(test: impl FnOnce()) -> String {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Lines(writer.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, test);
    let lines = lines.lock().unwrap();
    String::from_utf8(lines.clone()).unwrap()
}

/// Where lines are kept.
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Waits for a condition that somebody else is about to fulfil, and fails if nobody does.
#[allow(clippy::disallowed_methods, reason = "the operating system tells of changes when it likes")]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what} has not happened");
        std::thread::yield_now();
    }
}

/// A folder of its own, which is removed afterwards.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let folder = format!("rate-limit-config-{}-running-{name}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file, and says where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
