//! `/rate_limit/keys`: where a client stands, and a fresh start for it.
//!
//! A client is named as in `/check`, in the query: `/rate_limit/keys/login?ip=192.0.2.1` for a rule,
//! `/rate_limit/keys?tenantId=acme&key=k&limit=5&windowSeconds=60` for a limit that callers bring along.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Request, StatusCode, header};
use rate_limit_core::{Charge, Charges, Reset};
use rate_limit_tower::ClientId;
use serde_json::{Map, Value, json};

use crate::audit::Entry;
use crate::check;
use crate::problem::Problem;
use crate::said::{self, Said};
use crate::service::Service;

/// The name of the rule, if the path has one. What cannot be read is answered here and not by the
/// framework, which knows neither the token nor problem documents.
type RuleInPath = Result<Option<Path<String>>, PathRejection>;

/// `GET /rate_limit/keys/{rule}`.
pub(crate) async fn peek(
    State(service): State<Service>,
    rule: RuleInPath,
    request: Request<Body>,
) -> Response {
    let (request, _) = request.into_parts();
    let peeked = async {
        let charges = charges(&service, &request, rule).await?;
        let standings = standings(&service, &charges).await?;
        let entry = Entry::of("peek").with("target", target(&charges));
        service.audit.note(&request, entry);
        Ok::<_, Problem>(json!({ "keys": standings }))
    };
    answer(peeked.await)
}

/// `DELETE /rate_limit/keys/{rule}`.
pub(crate) async fn reset(
    State(service): State<Service>,
    rule: RuleInPath,
    request: Request<Body>,
) -> Response {
    let (request, _) = request.into_parts();
    let reset = async {
        let charges = charges(&service, &request, rule).await?;
        let before = standings(&service, &charges).await?;
        let restored = restore(&service, &charges).await;
        let after = standings(&service, &charges).await;
        let entry = Entry::of("reset")
            .with("target", target(&charges))
            .with("before", before)
            .with("after", after.as_ref().ok().cloned())
            .with_outcome(&restored);
        service.audit.note(&request, entry);
        Ok::<_, Problem>(json!({ "restored": restored?, "keys": after? }))
    };
    answer(reset.await)
}

fn answer(body: Result<Value, Problem>) -> Response {
    match body {
        Ok(body) => {
            ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Whose buckets under which policies.
async fn charges(service: &Service, request: &Parts, rule: RuleInPath) -> Result<Charges, Problem> {
    service.admission.administering(request).await?;
    let rule = rule.map_err(|_| {
        let detail = "the path cannot be read; expected the name of a rule after /rate_limit/keys/";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let question = question(request.uri.query().unwrap_or_default(), rule.map(|Path(rule)| rule));
    let charges = check::charges(service, question).await?;
    if charges.is_empty() {
        let detail = "no bucket belongs to this client under this rule; expected what the rule \
                      counts by, such as ?ip=192.0.2.1";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    Ok(charges)
}

/// The question that `/check` would be asked.
fn question(query: &str, rule: Option<String>) -> Said {
    let mut question = Map::new();
    let (mut identity, mut request) = (Map::new(), Map::new());
    let (mut claims, mut headers) = (Map::new(), Map::new());
    let is_by_rule = rule.is_some();
    let (pairs, flaws) = said::query(query);
    for (name, value) in pairs {
        let text = Value::String(value);
        match (name.split_once('.'), &*name) {
            (Some(("claim", name)), _) => _ = claims.insert(name.to_owned(), text),
            (Some(("header", name)), _) => _ = headers.insert(name.to_owned(), text),
            (_, "method" | "path" | "host") => _ = request.insert(name, text),
            (_, "limit" | "windowSeconds") => {
                let number = text.as_str().and_then(|text| text.parse::<u64>().ok());
                question.insert(name, number.map_or(text, Value::from));
            }
            _ if is_by_rule => _ = identity.insert(name, text),
            _ => _ = question.insert(name, text),
        }
    }
    for (name, members) in [("claims", claims), ("headers", headers)] {
        if !members.is_empty() {
            identity.insert(name.to_owned(), Value::Object(members));
        }
    }
    for (name, members) in [("identity", identity), ("request", request)] {
        if !members.is_empty() {
            question.insert(name.to_owned(), Value::Object(members));
        }
    }
    if let Some(rule) = rule {
        question.insert("rule".to_owned(), Value::String(rule));
    }
    Said { value: Value::Object(question), flaws }
}

/// Gives a fresh start, and returns how many buckets were not fresh already.
async fn restore(service: &Service, charges: &Charges) -> Result<u64, Problem> {
    let mut restored = 0;
    for charge in charges.iter() {
        let reset = service.store.administration.reset(charge.identity(), charge.policy());
        restored += u64::from(reset.await.map_err(Problem::of_store)? == Reset::Restored);
        service.bans.forget(charge);
    }
    Ok(restored)
}

/// Where the client stands, without charging anything.
async fn standings(service: &Service, charges: &Charges) -> Result<Vec<Value>, Problem> {
    let mut standings = Vec::with_capacity(charges.len());
    for charge in charges.iter() {
        let peeked = service.store.administration.peek(charge.identity(), charge.policy());
        let standing = peeked.await.map_err(Problem::of_store)?;
        standings.push(json!({
            "policy": charge.policy().name().as_str(),
            "clientId": ClientId::of(charge.identity()).to_string(),
            "limit": charge.policy().capacity(),
            "remaining": standing.remaining,
            "resetsInSeconds": standing.reset_after.as_secs_f64().ceil() as u64,
            "bannedForSeconds": standing.banned_for.map(|ban| ban.as_secs_f64().ceil() as u64),
        }));
    }
    Ok(standings)
}

/// Whose buckets, without naming anybody: by the digest that log lines use.
fn target(charges: &Charges) -> Vec<Value> {
    let one = |charge: &Charge| {
        let client = ClientId::of(charge.identity());
        format!("{client}/{}", charge.policy().name()).into()
    };
    charges.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_a_question_says() {
        assert_eq!(
            question("ip=2001%3Adb8%3A%3A1&header.x-a=b&claim.org=1&path=/x", Some("api".into()))
                .value,
            json!({
                "rule": "api",
                "identity": {
                    "ip": "2001:db8::1", "headers": { "x-a": "b" }, "claims": { "org": "1" },
                },
                "request": { "path": "/x" },
            }),
        );
        assert_eq!(
            question("tenantId=acme&key=a%20b&limit=5&windowSeconds=x", None).value,
            json!({ "tenantId": "acme", "key": "a b", "limit": 5, "windowSeconds": "x" }),
        );
    }
}
