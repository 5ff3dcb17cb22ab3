//! `/rate_limit/blocks`: who is turned away for a while, or until further notice.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Request, StatusCode, header};
use rate_limit_core::{Expected, Written};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::audit::Entry;
use crate::blocks::{Block, MAX_BLOCKS, Who, parse, written};
use crate::body;
use crate::clock;
use crate::fields::{Flaws, Object};
use crate::problem::Problem;
use crate::service::Service;

/// How often a change is tried if other instances change blocks at the same time.
const ATTEMPTS: usize = 10;

/// `GET /rate_limit/blocks`.
pub(crate) async fn list(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, _) = request.into_parts();
    let listed = async {
        service.admission.administering(&request).await?;
        let read = service.store.documents.read(&service.sources.blocks_name).await;
        let document = read.map_err(Problem::of_store)?;
        let blocks = document.map(|document| parse(&document.content)).unwrap_or_default();
        let now = now_seconds();
        let holding = blocks.iter().filter(|block| block.holds(now)).map(Block::document);
        Ok::<_, Problem>(json!({ "blocks": holding.collect::<Vec<_>>() }))
    };
    answer(StatusCode::OK, listed.await)
}

/// `POST /rate_limit/blocks`.
pub(crate) async fn block(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, body) = request.into_parts();
    let blocked = async {
        service.admission.administering(&request).await?;
        let body = body::json(&request, body, body::MAX_BODY_BYTES).await?;
        let mut flaws = Flaws::default();
        let block = Block::read(&body, now_seconds(), &mut flaws);
        let block = flaws.finish(block).map_err(Problem::of_fields)?;
        let before = change(&service, &block.who, Some(&block)).await?;
        note(&service, &request, "block", &block.who, before.as_ref(), Some(&block));
        Ok::<_, Problem>(block.document())
    };
    answer(StatusCode::CREATED, blocked.await)
}

/// `DELETE /rate_limit/blocks`, with whom it is about in the query.
pub(crate) async fn unblock(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, _) = request.into_parts();
    let unblocked = async {
        service.admission.administering(&request).await?;
        let query = request.uri.query().unwrap_or_default();
        let who = who(query)?;
        let before = change(&service, &who, None).await?;
        note(&service, &request, "unblock", &who, before.as_ref(), None);
        let Some(before) = before else {
            let detail = "nobody like that is blocked here; entries of the rules are theirs";
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        Ok(before.document())
    };
    answer(StatusCode::OK, unblocked.await)
}

fn who(query: &str) -> Result<Who, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let members: Map<String, Value> =
        pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    let value = Value::Object(members);
    let mut flaws = Flaws::default();
    let who = Object::read("", &value, &Who::FIELDS, &mut flaws)
        .and_then(|object| Who::read(&object, &mut flaws));
    flaws.finish(who).map_err(Problem::of_fields)
}

/// Puts `block` in the place of what there was about this client, and returns that.
async fn change(
    service: &Service,
    who: &Who,
    block: Option<&Block>,
) -> Result<Option<Block>, Problem> {
    let _turn = service.turn.lock().await;
    let (documents, name) = (&service.store.documents, &service.sources.blocks_name);
    for _ in 0..ATTEMPTS {
        let document = documents.read(name).await.map_err(Problem::of_store)?;
        let expected =
            document.as_ref().map_or(Expected::Absent, |it| Expected::Version(it.version));
        let mut blocks = document.map(|document| parse(&document.content)).unwrap_or_default();
        let now = now_seconds();
        // What says nothing any more is left out with the next change.
        blocks.retain(|block| block.holds(now));
        let place = blocks.iter().position(|block| block.who == *who);
        let before = place.map(|place| blocks.swap_remove(place));
        if block.is_none() && before.is_none() {
            return Ok(None);
        }
        if block.is_some() && blocks.len() >= MAX_BLOCKS {
            let detail = format!("{MAX_BLOCKS} blocks are kept at most; block networks instead");
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail));
        }
        blocks.extend(block.cloned());
        let done = documents.write(name, expected, &written(&blocks)).await;
        if let Written::Done(_) = done.map_err(Problem::of_store)? {
            service.sources.refresh(&**documents).await.map_err(Problem::of_store)?;
            service.reload().await.map_err(|error| Problem::of_reload(&error))?;
            return Ok(before);
        }
    }
    let detail = "others are changing blocks at the same time; expected to be asked again";
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

fn note(
    service: &Service,
    request: &Parts,
    action: &'static str,
    who: &Who,
    before: Option<&Block>,
    after: Option<&Block>,
) {
    let entry = Entry::of(action)
        .with("target", who.to_string())
        .with("before", before.map(Block::document))
        .with("after", after.map(Block::document));
    service.audit.note(request, entry);
}

fn now_seconds() -> u64 {
    clock::unix_millis() / 1_000
}

fn answer(status: StatusCode, body: Result<Value, Problem>) -> Response {
    match body {
        Ok(body) => {
            let fields = [(header::CONTENT_TYPE, "application/json")];
            (status, fields, body.to_string()).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}
