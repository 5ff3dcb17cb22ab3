//! From values to what is expected of them, with every mistake noted and none of them the last.
//!
//! The shape of the file is written down once, in `document`: a section is a list of keys with what
//! each holds. From that come the reader, the list of keys that a misspelt one is compared with, and
//! the JSON schema. `serde` is not used because it stops at the first mistake.

use std::fmt;

use serde_json::json;

use crate::problem::Flaw;
use crate::source::{Place, Source};
use crate::tree::{Node, Value};

mod choice;
mod many;
mod number;
mod section;
mod text;

pub(crate) use choice::{Choice, OneOf, choices};
pub(crate) use many::{Entries, Map, OneOrMany};
pub(crate) use number::Whole;
pub(crate) use section::{FieldShape, Fields, closest, object_schema, section};
pub(crate) use text::{FromText, Refused};

/// What can be read from a value.
pub(crate) trait Read: Sized {
    /// Reads it. `None` if it cannot work, which is then noted.
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self>;

    /// The JSON schema of what is accepted.
    fn schema() -> serde_json::Value;
}

/// Something and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

impl<T: Read> Read for Located<T> {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        T::read(node, at, source).map(|value| Self { place: node.place.clone(), value })
    }

    fn schema() -> serde_json::Value {
        T::schema()
    }
}

impl Read for bool {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        match node.beyond_text().as_deref() {
            Some(Value::Boolean(flag)) => Some(*flag),
            _ => {
                let flaw = Flaw::expected("`true` or `false`").value(node.shown());
                source.refuse(&node.place, at, flaw);
                None
            }
        }
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "boolean" })
    }
}

/// A key with all that it lies in, such as `rule.login.limit`. It costs nothing until it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    Root,
    Named(&'a Key<'a>, &'a str),
    Item(&'a Key<'a>, usize),
}

impl<'a> Key<'a> {
    pub(crate) const fn named(&'a self, name: &'a str) -> Self {
        Self::Named(self, name)
    }

    pub(crate) const fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Named(Self::Root, name) => f.write_str(name),
            Self::Named(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
