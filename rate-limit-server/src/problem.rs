//! Problem documents (RFC 9457) about requests to this service itself. Those about limits are the
//! layer's.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use rate_limit_config::{ReloadError, Severity};
use rate_limit_core::RepositoryError;
use serde_json::{Value, json};

use crate::fields::Flaw;

/// Why a request is not answered as it was meant.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    flaws: Vec<Flaw>,
    extra: Vec<(&'static str, Value)>,
    retry_after: Option<HeaderValue>,
}

impl Problem {
    /// A problem in one sentence, which says what was found and what was expected.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            flaws: Vec::new(),
            extra: Vec::new(),
            retry_after: None,
        }
    }

    /// Everything that is wrong with a body.
    pub(crate) fn of_fields(flaws: Vec<Flaw>) -> Self {
        let detail = match flaws.as_slice() {
            [one] => one.to_string(),
            all => format!("{} fields are not as expected", all.len()),
        };
        Self { flaws, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// Why a store could not do what operators or callers wanted.
    pub(crate) fn of_store(error: RepositoryError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }

    /// Everything that is wrong with a configuration.
    pub(crate) fn of_reload(error: &ReloadError) -> Self {
        let refused = |detail: &str| Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let ReloadError::Configuration(all) = error else {
            return refused(&error.to_string());
        };
        let errors = all.problems().iter().filter(|problem| problem.severity() == Severity::Error);
        let errors: Vec<Value> = errors.map(of_configuration).collect();
        let problem = refused("the configuration is refused, and the one before stays in force");
        problem.with("errors", Value::Array(errors))
    }

    /// The same with a member more.
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.extra.push((name, value));
        self
    }

    /// The same with when to ask again.
    pub(crate) fn retry_after(mut self, value: Option<&HeaderValue>) -> Self {
        self.retry_after = value.cloned();
        self
    }

    /// The document.
    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Value::Object(members) = &mut document {
            if !self.flaws.is_empty() {
                let errors = self.flaws.iter().map(Flaw::document).collect();
                members.insert("errors".to_owned(), Value::Array(errors));
            }
            for (name, value) in &self.extra {
                members.insert((*name).to_owned(), value.clone());
            }
        }
        document
    }
}

fn of_configuration(problem: &rate_limit_config::Problem) -> Value {
    json!({
        "location": problem.location().to_string(),
        "key": problem.key(),
        "value": problem.value(),
        "message": problem.message(),
        "suggestion": problem.suggestion(),
    })
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.document().to_string()).into_response();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(value) = &self.retry_after {
            fields.insert(RETRY_AFTER, value.clone());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            fields.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
