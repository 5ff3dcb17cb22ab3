//! `/rate_limit/blocks`: who is turned away for a while, or until further notice.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Request, StatusCode, header};
use rate_limit_core::{Expected, Written};
use serde_json::{Map, Value, json};

use crate::audit::Entry;
use crate::blocks::{Block, MAX_BLOCKS, Who, parse, written};
use crate::body;
use crate::clock;
use crate::fields::{Flaw, Object};
use crate::problem::Problem;
use crate::said::{self, Said};
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
        service.audit.note(&request, Entry::of("list_blocks"));
        Ok::<_, Problem>(json!({ "blocks": holding.collect::<Vec<_>>() }))
    };
    answer(StatusCode::OK, listed.await)
}

/// `POST /rate_limit/blocks`.
pub(crate) async fn block(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, body) = request.into_parts();
    let blocked = async {
        service.admission.administering(&request).await?;
        let Said { value, mut flaws } = body::json(&request, body, body::MAX_BODY_BYTES).await?;
        let block = Block::read(&value, now_seconds(), &mut flaws);
        let read = flaws.finish(block).map(|block| (block.who.clone(), Some(block)));
        change(&service, &request, "block", read).await
    };
    answer(StatusCode::CREATED, blocked.await)
}

/// `DELETE /rate_limit/blocks`, with whom it is about in the query.
pub(crate) async fn unblock(State(service): State<Service>, request: Request<Body>) -> Response {
    let (request, _) = request.into_parts();
    let unblocked = async {
        service.admission.administering(&request).await?;
        let read = who(request.uri.query().unwrap_or_default()).map(|who| (who, None));
        change(&service, &request, "unblock", read).await
    };
    answer(StatusCode::OK, unblocked.await)
}

fn who(query: &str) -> Result<Who, Vec<Flaw>> {
    let (pairs, mut flaws) = said::query(query);
    let members: Map<String, Value> =
        pairs.into_iter().map(|(name, value)| (name, value.into())).collect();
    let value = Value::Object(members);
    let who = Object::read("", &value, &Who::FIELDS, &mut flaws)
        .and_then(|object| Who::read(&object, &mut flaws));
    flaws.finish(who)
}

/// Blocks somebody, or lifts a block, and returns it. What is refused is written down as well, with
/// whom it is about if that can be read.
async fn change(
    service: &Service,
    request: &Parts,
    action: &'static str,
    read: Result<(Who, Option<Block>), Vec<Flaw>>,
) -> Result<Value, Problem> {
    let entry = Entry::of(action);
    let (who, block) = match read {
        Ok(read) => read,
        Err(flaws) => {
            let refused = Err::<Value, _>(Problem::of_fields(flaws));
            service.audit.note(request, entry.with_outcome(&refused));
            return refused;
        }
    };
    let _turn = service.turn.lock().await;
    let written = write(service, &who, block.as_ref()).await;
    let before = written.as_ref().ok().and_then(Option::as_ref).map(Block::document);
    let after = block.as_ref().filter(|_| written.is_ok()).map(Block::document);
    let entry = entry
        .with("target", who.to_string())
        .with("before", before.clone())
        .with("after", after.clone())
        .with_outcome(&written);
    // Before it is applied: other instances follow it whatever comes of that here.
    service.audit.note(request, entry);
    written?;
    service.apply_blocks().await.map_err(|error| Problem::of_reload(&error))?;
    Ok(after.or(before).into())
}

/// Puts `block` in the place of what there was about this client, and returns that. Nobody is let in
/// who was not blocked.
async fn write(
    service: &Service,
    who: &Who,
    block: Option<&Block>,
) -> Result<Option<Block>, Problem> {
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
            let detail = "nobody like that is blocked here; entries of the rules are theirs";
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
        if block.is_some() && blocks.len() >= MAX_BLOCKS {
            let detail = format!("{MAX_BLOCKS} blocks are kept at most; block networks instead");
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail));
        }
        blocks.extend(block.cloned());
        let done = documents.write(name, expected, &written(&blocks)).await;
        if let Written::Done(version) = done.map_err(Problem::of_store)? {
            service.sources.keep_blocks(version, blocks);
            return Ok(before);
        }
    }
    let detail = "others are changing blocks at the same time; expected to be asked again";
    Err(Problem::new(StatusCode::CONFLICT, detail))
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
