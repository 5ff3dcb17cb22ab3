//! What is wrong with a field: what it holds and what was expected, or a message about it.

use std::fmt;

use serde_json::{Value, json};

/// Characters of a refused text that are repeated at most.
const SHOWN: usize = 40;

/// One field that is not as expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Flaw {
    field: String,
    wrong: Wrong,
}

/// What is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Wrong {
    /// Something else was expected.
    Unexpected {
        /// `None` if there is none, or if it may be a secret.
        value: Option<String>,
        expected: String,
    },
    /// What somebody says of it, who says what was found and what was expected.
    Told(String),
}

impl Flaw {
    pub(crate) fn new(field: impl Into<String>, expected: impl Into<String>) -> Self {
        let wrong = Wrong::Unexpected { value: None, expected: expected.into() };
        Self { field: field.into(), wrong }
    }

    pub(crate) fn of_value(field: String, value: &Value, expected: impl Into<String>) -> Self {
        let (value, expected) = (shown(&field, value), expected.into());
        Self { field, wrong: Wrong::Unexpected { value, expected } }
    }

    /// A whole message, such as that of an error, about a field.
    pub(crate) fn told(field: impl Into<String>, message: impl ToString) -> Self {
        Self { field: field.into(), wrong: Wrong::Told(message.to_string()) }
    }

    /// A field that is there twice, so that nobody knows which of the two is meant.
    pub(crate) fn twice(field: impl Into<String>) -> Self {
        Self::told(field, "said twice; expected once")
    }

    pub(crate) fn document(&self) -> Value {
        match &self.wrong {
            Wrong::Unexpected { value: Some(value), expected } => {
                json!({ "field": self.field, "value": value, "expected": expected })
            }
            Wrong::Unexpected { value: None, expected } => {
                json!({ "field": self.field, "expected": expected })
            }
            Wrong::Told(message) => json!({ "field": self.field, "message": message }),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { "the body" } else { &self.field };
        match &self.wrong {
            Wrong::Unexpected { value: Some(value), expected } => {
                write!(f, "{field}: {value}; expected {expected}")
            }
            Wrong::Unexpected { value: None, expected } => {
                write!(f, "{field}: expected {expected}")
            }
            Wrong::Told(message) => write!(f, "{field}: {message}"),
        }
    }
}

/// As much of a text as is repeated.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// A value as it is repeated. Nothing of an identity is: it may be an API key.
fn shown(field: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Array(items) => Some(format!("an array of {}", items.len())),
        Value::Object(_) => Some("an object".to_owned()),
        _ if field.contains("identity") => None,
        Value::String(text) => {
            let cut = cut(text);
            let dots = if cut.len() < text.len() { "..." } else { "" };
            Some(format!("{:?}", format!("{cut}{dots}")))
        }
        Value::Bool(_) | Value::Number(_) => Some(cut(&value.to_string())),
    }
}

/// What is wrong with a body so far.
#[derive(Debug, Default)]
pub(crate) struct Flaws(Vec<Flaw>);

impl Flaws {
    /// More are not told, so that no answer is longer than its question.
    pub(super) const MAX: usize = 32;

    /// Adds one that was not told yet.
    pub(crate) fn add(&mut self, flaw: Flaw) {
        if self.0.len() < Self::MAX && !self.0.contains(&flaw) {
            self.0.push(flaw);
        }
    }

    /// What was read, if nothing is wrong.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Vec<Flaw>> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => Err(self.0),
        }
    }
}
