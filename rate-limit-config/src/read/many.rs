//! Lists, and tables whose keys the file chooses.

use serde_json::json;

use super::{Key, Located, Read};
use crate::problem::Flaw;
use crate::source::{Place, Source};
use crate::tree::{Node, Value};

/// One value, or a list of them that is not empty.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<Located<T>>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        // A list in a variable is recognised by its bracket, which no single value begins with.
        let is_list = match &node.value {
            Value::Variable(text) => text.trim_start().starts_with('['),
            Value::Array(_) => true,
            _ => false,
        };
        if !is_list {
            return Located::read(node, at, source).map(|one| Self(vec![one]));
        }
        let value = node.beyond_text();
        let Some(Value::Array(items)) = value.as_deref() else {
            let flaw = Flaw::expected("a list such as [\"one\", \"another\"]");
            source.refuse(&node.place, at, flaw.value(node.shown()));
            return None;
        };
        if items.is_empty() {
            source.refuse(
                &node.place,
                at,
                Flaw::new("the list is empty; expected at least one value, or no such key"),
            );
            return None;
        }
        let read = read_items(items, at, source);
        (!read.is_empty()).then_some(Self(read))
    }

    fn schema() -> serde_json::Value {
        json!({ "anyOf": [T::schema(), { "type": "array", "items": T::schema(), "minItems": 1 }] })
    }
}

/// What a table calls itself, so that messages can.
fn name_of(node: &Node) -> Option<&str> {
    let Value::Table(table) = &node.value else {
        return None;
    };
    let name = table.get("name")?.1.text()?;
    rate_limit_core::PolicyName::new(name).is_ok().then_some(name)
}

/// A list of tables, as `[[rule]]` begins one.
#[derive(Clone, Debug)]
pub(crate) struct Entries<T>(pub(crate) Vec<Located<T>>);

impl<T: Read> Read for Entries<T> {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        let value = node.beyond_text();
        let Some(Value::Array(items)) = value.as_deref() else {
            let flaw = match node.place {
                Place::Variable(_) => Flaw::new(
                    "a variable changes entries of the file and adds none; expected a key of one of \
                     them, or the whole list",
                ),
                _ => Flaw::expected(format!("a list of tables, each with `[[{at}]]` above it")),
            };
            source.refuse(&node.place, at, flaw);
            return None;
        };
        Some(Self(read_items(items, at, source)))
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// What can be read of the items. The others were noted, so nobody looks at what is left.
fn read_items<T: Read>(items: &[Node], at: &Key<'_>, source: &mut Source<'_>) -> Vec<Located<T>> {
    let mut read = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let key = name_of(item).map_or_else(|| at.item(index), |name| at.named(name));
        read.extend(Located::read(item, &key, source));
    }
    read
}

/// The entries of a table whose keys the file chooses.
#[derive(Clone, Debug)]
pub(crate) struct Map<T> {
    pub(crate) entries: Vec<(Located<String>, Located<T>)>,
    /// Whether all of them could be read.
    pub(crate) is_whole: bool,
}

impl<T: Read> Read for Map<T> {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        let value = node.beyond_text();
        let Some(Value::Table(table)) = value.as_deref() else {
            source.refuse(&node.place, at, Flaw::expected("a table").value(node.shown()));
            return None;
        };
        let errors = source.errors();
        let mut entries = Vec::with_capacity(table.len());
        for (name, (place, node)) in table {
            let place: Place = place.clone();
            if let Some(read) = Located::read(node, &at.named(name), source) {
                entries.push((Located { place, value: name.clone() }, read));
            }
        }
        Some(Self { entries, is_whole: source.errors() == errors })
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }
}
