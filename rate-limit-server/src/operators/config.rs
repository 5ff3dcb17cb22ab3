//! `/rate_limit/config`: which rules are in force, and others in their place.
//!
//! What is posted is kept in the store and replaces rules, tiers, exemptions and blocks of the file for
//! every instance, until it is deleted. Whoever changes it says which version they have seen, and of
//! two who have seen the same, one succeeds.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Request, StatusCode};
use rate_limit_core::{Document, DocumentVersion, Expected, Written};
use serde_json::{Value, json};

use crate::audit::Entry;
use crate::body;
use crate::problem::Problem;
use crate::service::Service;
use crate::sources::{Origin, Refused};

/// The longest document.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// The type of a document.
const TOML: &str = "application/toml";

/// `GET /rate_limit/config`.
pub(crate) async fn show(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, _) = request.into_parts();
    let shown = async {
        service.admission.administering(&request).await?;
        let shown = if wants_document(&request) { document(&service)? } else { state(&service) };
        service.audit.note(&request, Entry::of("show_config"));
        Ok(shown)
    };
    shown.await.unwrap_or_else(|problem: Problem| problem.into_response())
}

/// `POST /rate_limit/config`.
pub(crate) async fn post(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, body) = request.into_parts();
    let posted = async {
        service.admission.administering(&request).await?;
        let expected = expected(&request.headers)?;
        let content = body::read(&request, body, MAX_DOCUMENT_BYTES).await?;
        change(&service, &request, expected, Some(&content)).await
    };
    posted.await.unwrap_or_else(|problem: Problem| problem.into_response())
}

/// `DELETE /rate_limit/config`.
pub(crate) async fn delete(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, _) = request.into_parts();
    let deleted = async {
        service.admission.administering(&request).await?;
        let expected = expected(&request.headers)?;
        change(&service, &request, expected, None).await
    };
    deleted.await.unwrap_or_else(|problem: Problem| problem.into_response())
}

async fn change(
    service: &Service,
    request: &Parts,
    expected: Expected,
    content: Option<&[u8]>,
) -> Result<Response, Problem> {
    let action = if content.is_some() { "post_config" } else { "delete_config" };
    // One change at a time here; those of other instances are told apart by their versions.
    let _turn = service.turn.lock().await;
    let before = service.sources.posted().map(|document| document.version.0);
    let written = write(service, expected, content).await;
    let after = written.as_ref().ok().map(|version| version.0);
    let entry = Entry::of(action)
        .with("before", before)
        .with("after", if content.is_some() { after } else { None })
        .with_outcome(&written);
    // Before it is applied: other instances follow it whatever comes of that here.
    service.audit.note(request, entry);
    written?;
    service.reload().await.map_err(|error| Problem::of_reload(&error))?;
    Ok(state(service))
}

/// Makes sure that it works, and keeps it.
async fn write(
    service: &Service,
    expected: Expected,
    content: Option<&[u8]>,
) -> Result<DocumentVersion, Problem> {
    if content.is_some_and(|content| std::str::from_utf8(content).is_err()) {
        let detail = "the body is no text; expected TOML in UTF-8";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    service.would_apply(content.map(<[u8]>::to_vec)).await.map_err(|it| Problem::of_reload(&it))?;
    let (documents, name) = (&service.store.documents, &service.sources.posted_name);
    let written = match content {
        Some(content) => documents.write(name, expected, content).await,
        None => documents.delete(name, expected).await,
    };
    match written.map_err(Problem::of_store)? {
        Written::Done(version) => {
            let content = content.map(<[u8]>::to_vec);
            service.sources.keep_posted(content.map(|content| Document { version, content }));
            Ok(version)
        }
        Written::Conflict { present } => {
            let detail = format!(
                "the document has another version; expected If-Match: {}",
                tag(present).to_str().unwrap_or_default()
            );
            let problem = Problem::new(StatusCode::PRECONDITION_FAILED, detail);
            Err(problem.with("version", present.map(|version| version.0).into()))
        }
    }
}

/// What the caller has seen.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        (values.next().map(HeaderValue::as_bytes), values.next().is_some())
    };
    let bad = |detail: &str| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    match (one(header::IF_MATCH), one(header::IF_NONE_MATCH)) {
        ((_, true), _) | (_, (_, true)) => bad("expected If-Match and If-None-Match once each"),
        ((None, _), (None, _)) => Ok(Expected::Anything),
        ((None, _), (Some(b"*"), _)) => Ok(Expected::Absent),
        ((Some(tag), _), (None, _)) => match version(tag) {
            Some(0) => Ok(Expected::Absent),
            Some(version) => Ok(Expected::Version(DocumentVersion(version))),
            None => bad("If-Match is no ETag of this document; expected one such as \"3\""),
        },
        _ => bad("expected If-Match with an ETag, or If-None-Match: *"),
    }
}

fn version(tag: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(tag).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `"0"` where there is no document.
fn tag(version: Option<DocumentVersion>) -> HeaderValue {
    let text = format!("\"{}\"", version.unwrap_or_default());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn wants_document(request: &Parts) -> bool {
    let accept = request.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.trim().starts_with(TOML))
}

/// The document as it was posted last, which is what the next one is written after. Whether it is in
/// force is told by the state.
fn document(service: &Service) -> Result<Response, Problem> {
    let Some(posted) = service.sources.posted() else {
        let detail = "nothing was posted; the rules are those of the file";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static(TOML)),
        (header::ETAG, tag(Some(posted.version))),
    ];
    Ok((fields, posted.content).into_response())
}

/// What is in force, in words, and what is refused. The file itself is not shown, because secrets may
/// stand in it.
///
/// The tag is that of the document in the store, whether it is in force or not, because changes are
/// compared with that one.
fn state(service: &Service) -> Response {
    let (version, configuration) = (service.rules.version(), service.rules.configuration());
    let in_force = service.sources.posted_of(version);
    let origin = match service.sources.origin(version) {
        Origin::Default => "default",
        Origin::File => "file",
        Origin::Posted => "posted",
    };
    let text = in_force.as_ref().map(|document| String::from_utf8_lossy(&document.content));
    let rules: Vec<Value> = configuration.rules.iter().map(|it| it.name.as_str().into()).collect();
    let warnings = configuration.warnings().iter().map(|it| it.to_string().into());
    let body = json!({
        "configVersion": version,
        "origin": origin,
        "document": text,
        "documentVersion": in_force.as_ref().map(|document| document.version.0),
        "refused": service.refused().as_ref().map(refusal),
        "rules": rules,
        "meaning": configuration.explain().lines().collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<Value>>(),
        "store": configuration.store.url.to_string(),
    });
    let stored = service.sources.posted().map(|document| document.version);
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::ETAG, tag(stored)),
    ];
    (fields, body.to_string()).into_response()
}

/// Which document is not in force, and everything that is wrong with it.
fn refusal(refused: &Refused) -> Value {
    let version = refused.version.unwrap_or_default();
    Problem::of_reload(&refused.why).with("version", version.0.into()).document()
}
