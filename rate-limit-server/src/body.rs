//! Reading the body of a request: no more of it than is wanted, and no longer than is bearable.

use std::time::Duration;

use crate::problem::Problem;
use crate::said::{self, Said};
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// The longest body of a question.
pub(crate) const MAX_BODY_BYTES: usize = 64 << 10;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The body, if it is no longer than `max`.
pub(crate) async fn read(request: &Parts, body: Body, max: usize) -> Result<Bytes, Problem> {
    let too_long = || {
        let detail = format!("the body is too long; expected at most {max} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let announced = request.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // What is announced as too long is not begun.
    if announced.is_some_and(|length| length > max as u64) {
        return Err(too_long());
    }
    let body = Limited::new(body, max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body ended too early")),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}

/// The body as JSON.
pub(crate) async fn json(request: &Parts, body: Body, max: usize) -> Result<Said, Problem> {
    let body = read(request, body, max).await?;
    said::json(&body).map_err(|error| {
        let detail = format!("the body is not JSON: {error}");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}
