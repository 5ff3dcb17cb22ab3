//! The values of a rules file and of the environment, each with where it comes from.
//!
//! The tree is our own because values come from two sources: what a variable overrides takes the
//! place of what stood in the file, and keeps its own origin.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use crate::problem::Flaw;
use crate::source::{Place, Source};

/// How deep values may lie in each other. What the file describes is at most five deep.
const MAX_DEPTH: usize = 16;

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Array(Vec<Node>),
    Boolean(bool),
    Datetime(Datetime),
    Float(String),
    /// `None` if it is beyond all that anybody could mean.
    Integer(Option<i128>, String),
    Table(Table),
    Text(String),
    /// The text of a variable. What it stands for depends on what is expected: a text as it is, or
    /// anything else in the syntax of the file.
    Variable(String),
}

/// The values of a table by their keys, each with where its key stands.
pub(crate) type Table = BTreeMap<String, (Place, Node)>;

/// The tree of the file. What cannot be read is noted, and what can be is returned all the same.
pub(crate) fn of_file(source: &mut Source<'_>) -> Node {
    of_text(source.text(), &Place::Offset, source)
}

/// The tree of what was posted, if anything was.
pub(crate) fn of_posted(source: &mut Source<'_>) -> Option<Node> {
    let text = source.posted()?;
    Some(of_text(text, &Place::Posted, source))
}

fn of_text(text: &str, locate: &Locate<'_>, source: &mut Source<'_>) -> Node {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = error.span().map_or(Place::File, |span| locate(span.start));
        // Only the message, because the error as a whole quotes the line, which may hold a secret.
        source.refuse(&place, "", Flaw::new(format!("this is not TOML: {}", error.message())));
    }
    let value = table(document.get_ref(), locate, 0, source);
    Node { place: Place::File, value }
}

/// The value that the text of a variable stands for, in the syntax of the file.
pub(crate) fn of_variable(text: &str, place: &Place) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    // What lies too deep is not told from here: whatever it lies in is refused, because nothing that
    // is expected is half as deep.
    let mut scratch = Source::new("", "");
    Some(self::value(value.get_ref(), &|_| place.clone(), 0, &mut scratch))
}

type Locate<'a> = dyn Fn(usize) -> Place + 'a;

fn table(table: &DeTable<'_>, locate: &Locate<'_>, depth: usize, source: &mut Source<'_>) -> Value {
    let mut entries = Table::new();
    for (key, value) in table {
        let node = Node {
            place: locate(value.span().start),
            value: self::value(value.get_ref(), locate, depth + 1, source),
        };
        entries.insert(key.get_ref().to_string(), (locate(key.span().start), node));
    }
    Value::Table(entries)
}

fn value(value: &DeValue<'_>, locate: &Locate<'_>, depth: usize, source: &mut Source<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(digits) => Value::Integer(
            i128::from_str_radix(digits.as_str(), digits.radix()).ok(),
            digits.to_string(),
        ),
        DeValue::Float(digits) => Value::Float(digits.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(datetime) => Value::Datetime(*datetime),
        DeValue::Array(_) | DeValue::Table(_) if depth >= MAX_DEPTH => {
            let first = match value {
                DeValue::Array(items) => items.iter().next().map(|item| item.span().start),
                DeValue::Table(table) => table.keys().next().map(|key| key.span().start),
                _ => None,
            };
            let place = first.map_or(Place::File, locate);
            source.refuse(&place, "", Flaw::new("this lies too deep in other values"));
            Value::Boolean(false)
        }
        DeValue::Array(items) => {
            let node = |item: &toml::Spanned<DeValue<'_>>, source: &mut Source<'_>| Node {
                place: locate(item.span().start),
                value: self::value(item.get_ref(), locate, depth + 1, source),
            };
            Value::Array(items.iter().map(|item| node(item, source)).collect())
        }
        DeValue::Table(inner) => table(inner, locate, depth, source),
    }
}

impl Node {
    /// The text, whether it stands in the file or in a variable.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Variable(text) => Some(text),
            _ => None,
        }
    }

    /// The value, where a text is not what is expected. `None` if a variable holds none.
    pub(crate) fn beyond_text(&self) -> Option<Cow<'_, Value>> {
        match &self.value {
            Value::Variable(text) => of_variable(text, &self.place).map(Cow::Owned),
            value => Some(Cow::Borrowed(value)),
        }
    }

    /// The value as it is shown in messages.
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Array(_) => "a list".to_owned(),
            Value::Boolean(flag) => flag.to_string(),
            Value::Datetime(datetime) => datetime.to_string(),
            Value::Float(digits) | Value::Integer(_, digits) => shown(digits, str::to_owned),
            Value::Table(_) => "a table".to_owned(),
            Value::Text(text) | Value::Variable(text) => quoted(text),
        }
    }
}

/// A text with quotes, without control characters, and not endless.
pub(crate) fn quoted(text: &str) -> String {
    shown(text, |text| format!("{text:?}"))
}

fn shown(text: &str, show: impl Fn(&str) -> String) -> String {
    const MAX_SHOWN: usize = 80;
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{} ...", show(text.get(..end).unwrap_or_default())),
        None => show(text),
    }
}
