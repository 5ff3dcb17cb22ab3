//! `POST /check`: may this client do this now?
//!
//! A question names a rule of the configuration and says who asks, or it brings the limit along. Both
//! are decided by the layer, which charges, counts and logs as it does for requests that it sees.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http::{Request, StatusCode};
use rate_limit_core::{Charges, Decision};
use rate_limit_tower::{NamedAnswer, Question, UnknownRule};
use serde_json::{Value, json};

use crate::body;
use crate::problem::Problem;
use crate::said::Said;
use crate::service::Service;

pub(crate) mod ad_hoc;
mod answer;
mod by_rule;
mod disputed;
pub(crate) mod head;
mod question;

use answer::Answer;
pub(crate) use question::UNITS;
use question::{Ask, Asked, Form};

/// `POST /check`.
pub(crate) async fn check(State(service): State<Service>, request: Request<Body>) -> Response {
    respond(&service, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn respond(service: &Service, request: Request<Body>) -> Result<Response, Problem> {
    let (request, body) = request.into_parts();
    service.admission.asking(&request).await?;
    let body = body::json(&request, body, body::MAX_BODY_BYTES).await?;
    let configuration = service.rules.configuration();
    let asked = question::read(body, &configuration).map_err(Problem::of_fields)?;
    // Of all questions, before one is decided.
    disputed::refuse(service, asked.asks()).await?;
    match asked {
        Asked::One(ask) => Ok(decide(service, ask).await?.into_response()),
        Asked::Batch(asks) => {
            // Together, so that what travels to a store travels together. Each is decided by itself.
            let answers = join_all(asks.into_iter().map(|ask| decide(service, ask))).await;
            let results: Vec<Value> = answers
                .into_iter()
                .map(|answer| answer.map_or_else(|problem| problem.document(), Answer::into_entry))
                .collect();
            let fields = [(http::header::CONTENT_TYPE, "application/json")];
            Ok((StatusCode::OK, fields, json!({ "results": results }).to_string()).into_response())
        }
    }
}

async fn decide(service: &Service, ask: Ask) -> Result<Answer, Problem> {
    let answer: Result<NamedAnswer, UnknownRule> = match ask.form {
        Form::AdHoc => service.ad_hoc.layer().ask(&ask.questions).await,
        Form::ByRule => service.rules.ask(&ask.questions).await,
    };
    let answer = answer.map_err(unknown)?;
    if let Some(decision) = answer.response.extensions().get::<Decision>() {
        service.observe(decision);
    }
    Ok(Answer::new(answer, &ask, &service.receipts))
}

/// What a question would be charged, for operators.
pub(crate) async fn charges(service: &Service, question: Said) -> Result<Charges, Problem> {
    let configuration = service.rules.configuration();
    match question::read(question, &configuration).map_err(Problem::of_fields)? {
        Asked::One(ask) => charged(service, ask.form, &ask.questions).await,
        Asked::Batch(_) => Ok(Charges::new()),
    }
}

/// What questions would be charged together.
async fn charged(
    service: &Service,
    form: Form,
    questions: &[Question],
) -> Result<Charges, Problem> {
    let charges = match form {
        Form::AdHoc => service.ad_hoc.layer().charges(questions).await,
        Form::ByRule => service.rules.charges(questions).await,
    };
    charges.map_err(unknown)
}

/// The rule was there when the question was read, and is not any more.
fn unknown(rule: UnknownRule) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, rule.to_string())
}
