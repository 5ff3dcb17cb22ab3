//! `/auth`: a proxy asks, for each request of its clients, whether that may pass.
//!
//! Most proxies say in fields what they were asked. Envoy asks with the method of its client, and puts
//! the target of its client behind a path of ours.
//!
//! The request that is asked about is put together from what the proxy says, and goes through the
//! layer as if it had come here itself, in front of a service that answers 200 to everything. So which
//! rules match, whose buckets are charged and what is told is the layer's.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use rate_limit_core::Decision;
use rate_limit_tower::PeerAddress;
use tower_layer::Layer;
use tower_service::Service as _;

use crate::admission::SERVICE_TOKEN;
use crate::problem::Problem;
use crate::service::Service;

/// As nginx is told to name them.
static ORIGINAL: Named = Named {
    method: HeaderName::from_static("x-original-method"),
    uri: HeaderName::from_static("x-original-uri"),
    host: HeaderName::from_static("x-original-host"),
};

/// As Traefik, Caddy and others name them.
static FORWARDED: Named = Named {
    method: HeaderName::from_static("x-forwarded-method"),
    uri: HeaderName::from_static("x-forwarded-uri"),
    host: HeaderName::from_static("x-forwarded-host"),
};

/// In which the status stands that a proxy cannot be answered.
static STATUS: HeaderName = HeaderName::from_static("x-auth-status");

/// The names of the fields in which a proxy says what it is asked for.
struct Named {
    method: HeaderName,
    uri: HeaderName,
    host: HeaderName,
}

impl Named {
    /// Whether there is one of those that say what is asked for. A host alone says nothing.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(&self.method) || headers.contains_key(&self.uri)
    }
}

/// The path before the target of a client, in the questions of proxies that put it there.
const PREFIX: &str = "/auth";

/// Where a proxy says what it was asked.
#[derive(Clone, Copy)]
enum Told {
    InFields,
    InTarget,
}

/// Stands where the proxied service would.
#[derive(Clone, Copy)]
struct Passed;

impl tower_service::Service<Request<()>> for Passed {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(http::Response::default()))
    }
}

/// `/auth`, with any method, because proxies differ there.
pub(crate) async fn auth(State(service): State<Service>, request: Request<Body>) -> Response {
    answer(&service, request, Told::InFields).await
}

/// `/auth/{*target}`.
pub(crate) async fn auth_target(
    State(service): State<Service>,
    request: Request<Body>,
) -> Response {
    answer(&service, request, Told::InTarget).await
}

async fn answer(service: &Service, request: Request<Body>, told: Told) -> Response {
    // The body, if a proxy sends one along, is its client's and is not read.
    let (request, _) = request.into_parts();
    respond(service, request, told).await.unwrap_or_else(IntoResponse::into_response)
}

async fn respond(service: &Service, request: Parts, told: Told) -> Result<Response, Problem> {
    service.admission.proxying(&request).await?;
    let (turned_away, proxied) = match told {
        Told::InFields => (turned_away(request.uri.query())?, told_in_fields(request)?),
        // The query is the client's, and the proxy understands every status.
        Told::InTarget => (None, told_in_target(request)?),
    };
    let mut response = service
        .rules
        .layer(Passed)
        .call(proxied)
        .await
        .unwrap_or_else(|never| match never {})
        .map(Body::new);
    if let Some(decision) = response.extensions().get::<Decision>() {
        service.observe(decision);
    }
    let status = response.status();
    if let (Some(instead), false) = (turned_away, status.is_success()) {
        response.headers_mut().insert(&STATUS, status.as_u16().into());
        *response.status_mut() = instead;
    }
    Ok(response)
}

/// With which status a request is turned away, where the proxy understands no other: nginx takes all
/// but 401 and 403 for a mistake of ours.
fn turned_away(query: Option<&str>) -> Result<Option<StatusCode>, Problem> {
    match query {
        None | Some("") => Ok(None),
        Some("denied=401") => Ok(Some(StatusCode::UNAUTHORIZED)),
        Some("denied=403") => Ok(Some(StatusCode::FORBIDDEN)),
        Some(_) => Err(bad("the query is not as expected: denied=401, denied=403 or nothing")),
    }
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// The request that the proxy was asked, as its fields say.
fn told_in_fields(mut request: Parts) -> Result<Request<()>, Problem> {
    let named = named(&request.headers)?;
    let said = |name: &HeaderName| {
        let missing = || bad(format!("expected the field {name} of the proxy, once"));
        once(&request.headers, name).ok_or_else(missing)
    };
    let method = Method::from_bytes(said(&named.method)?.as_bytes())
        .map_err(|_| bad(format!("{} is no method", named.method)))?;
    let uri = target(said(&named.uri)?.as_bytes())
        .ok_or_else(|| bad(format!("{} is no target", named.uri)))?;
    for of in [&ORIGINAL, &FORWARDED] {
        [&of.method, &of.uri].into_iter().for_each(|name| _ = request.headers.remove(name));
    }
    if let Some(host) = request.headers.get(&named.host).cloned() {
        request.headers.insert(header::HOST, host);
    }
    (request.method, request.uri) = (method, uri);
    Ok(proxied(request))
}

/// The request that the proxy was asked, which is this one but for the beginning of its path.
fn told_in_target(mut request: Parts) -> Result<Request<()>, Problem> {
    if [&ORIGINAL, &FORWARDED].into_iter().any(|of| of.is_in(&request.headers)) {
        return Err(bad(
            "the target of the client is in the path and in fields X-Original-* or X-Forwarded-*; \
             expected the proxy to let no client write those",
        ));
    }
    let target = request.uri.path_and_query().and_then(|all| all.as_str().strip_prefix(PREFIX));
    let target = target.and_then(|target| target.parse().ok());
    let mut parts = request.uri.into_parts();
    parts.path_and_query = Some(target.ok_or_else(|| bad("there is no target after /auth"))?);
    request.uri = Uri::from_parts(parts).map_err(|_| bad("there is no target after /auth"))?;
    Ok(proxied(request))
}

/// What the layer sees of a request that a proxy was asked.
fn proxied(request: Parts) -> Request<()> {
    let mut proxied = Request::new(());
    *proxied.method_mut() = request.method;
    *proxied.uri_mut() = request.uri;
    let mut headers = request.headers;
    headers.remove(&SERVICE_TOKEN);
    // A gRPC client is told that it was turned away in a response with status 200, which a proxy
    // would take for leave.
    headers.remove(header::CONTENT_TYPE);
    *proxied.headers_mut() = headers;
    if let Some(peer) = request.extensions.get::<PeerAddress>() {
        proxied.extensions_mut().insert(*peer);
    }
    proxied
}

/// Which names the proxy uses. With both there, its client has written one of them, and nobody knows
/// which.
fn named(headers: &HeaderMap) -> Result<&'static Named, Problem> {
    match (ORIGINAL.is_in(headers), FORWARDED.is_in(headers)) {
        (true, false) => Ok(&ORIGINAL),
        (false, true) => Ok(&FORWARDED),
        (true, true) => Err(bad(
            "there are fields X-Original-* and X-Forwarded-*; expected the proxy to remove those \
             that it does not write itself",
        )),
        (false, false) => Err(bad(
            "expected the fields X-Original-Method and X-Original-URI, or X-Forwarded-Method and \
             X-Forwarded-Uri",
        )),
    }
}

fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    Some(value)
}

/// What proxies let through in a target although no target has it. A request that is asked about must
/// not fall out of every rule by it.
const STRAY: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'\\').add(b'^');

/// The target, with what should have been encoded encoded.
fn target(said: &[u8]) -> Option<Uri> {
    let encoded = || percent_encode(said, STRAY).to_string();
    Uri::try_from(said).or_else(|_| encoded().parse()).ok()
}
