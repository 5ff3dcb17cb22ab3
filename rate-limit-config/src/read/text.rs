//! Values that are written as texts.

use serde_json::json;

use super::{Key, Read};
use crate::problem::Flaw;
use crate::source::Source;
use crate::tree::Node;

/// What can be read from a text.
pub(crate) trait FromText: Sized {
    /// What is expected, with an example.
    const EXPECTED: &'static str;

    /// Whether the text may be a secret, which is then not shown.
    const IS_SECRET: bool = false;

    fn from_text(text: &str) -> Result<Self, Refused>;

    /// The JSON schema of the text.
    fn text_schema() -> serde_json::Value {
        json!({ "type": "string" })
    }
}

/// Why a text cannot work.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) reason: Option<String>,
    pub(crate) suggestion: Option<String>,
}

impl Refused {
    /// Because it is not what is expected.
    pub(crate) const UNLIKE: Self = Self { reason: None, suggestion: None };

    /// For a reason that can be said.
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), suggestion: None }
    }

    pub(crate) fn meant(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    pub(crate) fn flaw(self, expected: &str) -> Flaw {
        let flaw = match self.reason {
            Some(reason) => Flaw::new(format!("{reason}; expected {expected}")),
            None => Flaw::expected(expected),
        };
        flaw.meant(self.suggestion)
    }
}

impl<T: FromText> Read for T {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        let read = node.text().ok_or(Refused::UNLIKE).and_then(T::from_text);
        read.map_err(|refused| {
            let value = (!T::IS_SECRET).then(|| node.shown());
            source.refuse(&node.place, at, refused.flaw(T::EXPECTED).maybe_value(value));
        })
        .ok()
    }

    fn schema() -> serde_json::Value {
        T::text_schema()
    }
}

impl FromText for String {
    const EXPECTED: &'static str = "a text that is not empty";

    fn from_text(text: &str) -> Result<Self, Refused> {
        if text.is_empty() { Err(Refused::UNLIKE) } else { Ok(text.to_owned()) }
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "minLength": 1 })
    }
}
