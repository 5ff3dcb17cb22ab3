//! Environment variables: they override values of the file, and hold secrets.
//!
//! `RATE_LIMIT__STORE__URL` is the key `url` of the section `store`: two underscores lead one level
//! down, and case does not matter. In a list of tables, such as that of the rules, comes the name of
//! the entry, with an underscore for each character that a variable cannot have, or else its place,
//! counted from 0: `RATE_LIMIT__RULE__LOGIN__LIMIT`, `RATE_LIMIT__RULE__0__LIMIT`.
//!
//! No crate that layers configurations is used: those merge values and forget where each came from,
//! and the one thing that has to be right here is what a message says about the origin of a value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use crate::problem::Flaw;
use crate::source::{Place, Source};
use crate::tree::{Node, Table, Value};

/// What the names of all variables begin with that override values.
const PREFIX: &str = "RATE_LIMIT__";

/// The environment variables that a rules file may see. Their values are never shown.
///
/// # Example: a variable wins over the file
///
/// ```
/// use rate_limit_config::{Configuration, Environment};
///
/// let text = r#"
/// [[rule]]
/// name = "api"
/// limit = "100/min"
/// "#;
/// let environment = Environment::from_variables([("RATE_LIMIT__RULE__API__LIMIT", "200/min")]);
/// let configuration = Configuration::from_toml("limits.toml", text, &environment)?;
/// assert_eq!(configuration.rules[0].limits[0].limit(), 200);
/// # Ok::<(), rate_limit_config::ConfigurationError>(())
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, Given>,
}

/// What a variable holds.
#[derive(Clone)]
struct Given {
    value: OsString,
    /// What messages call it, if that is not its name.
    called: Option<Arc<str>>,
}

impl Environment {
    /// No variables at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variables of this process, as they are now.
    pub fn of_process() -> Self {
        Self::from_variables(std::env::vars_os())
    }

    /// These variables.
    pub fn from_variables<N: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let given = |value: V| Given { value: value.into(), called: None };
        let variables =
            variables.into_iter().map(|(name, value)| (name.into(), given(value))).collect();
        Self { variables }
    }

    /// The same variables, and one more in the place of any of its name: what a program was told by
    /// an argument on its command line, which messages name, and which wins as variables do.
    #[must_use]
    pub fn with_argument(
        mut self,
        argument: &str,
        variable: &str,
        value: impl Into<OsString>,
    ) -> Self {
        self.variables.retain(|name, _| !name.eq_ignore_ascii_case(variable));
        let given = Given { value: value.into(), called: Some(Arc::from(argument)) };
        self.variables.insert(variable.into(), given);
        self
    }

    /// The value of a variable, if it is there and is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(std::ffi::OsStr::new(name))?.value.to_str()
    }

    /// Puts the values of variables in the place of those of the file.
    pub(crate) fn override_values(&self, root: &mut Node, source: &mut Source<'_>) {
        for (name, given) in &self.variables {
            let Some((name, keys)) = name.to_str().and_then(|name| Some((name, keys(name)?)))
            else {
                continue;
            };
            let place = Place::Variable(given.called.clone().unwrap_or_else(|| Arc::from(name)));
            let Some(text) = given.value.to_str() else {
                source.refuse(&place, "", Flaw::new("the value is not UTF-8"));
                continue;
            };
            if keys.iter().any(|key| key.is_empty()) {
                let flaw = Flaw::expected(
                    "a key after each double underscore, such as `RATE_LIMIT__STORE__URL`",
                );
                source.refuse(&place, "", flaw);
                continue;
            }
            let node = Node { place: place.clone(), value: Value::Variable(text.to_owned()) };
            if let Err(flaw) = put(root, &keys, node) {
                source.refuse(&place, "", flaw);
            }
        }
    }
}

/// Only the names: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// The way to the value that a variable overrides; `None` if it overrides none.
fn keys(name: &str) -> Option<Vec<&str>> {
    let (prefix, keys) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then(|| keys.split("__").collect())
}

/// Puts `node` where `keys` lead.
fn put(parent: &mut Node, keys: &[&str], node: Node) -> Result<(), Flaw> {
    let Some((key, deeper)) = keys.split_first() else {
        let other = variable_in(parent).filter(|other| Some(*other) != variable_in(&node));
        if let Some(other) = other {
            return Err(set_twice(other));
        }
        *parent = node;
        return Ok(());
    };
    match &mut parent.value {
        Value::Table(table) => {
            let place = node.place.clone();
            let key = matching(table, key)?.unwrap_or_else(|| key.to_lowercase());
            let (_, child) = table.entry(key).or_insert_with(|| {
                (place.clone(), Node { place, value: Value::Table(Table::new()) })
            });
            put(child, deeper, node)
        }
        Value::Array(items) => {
            let index = position(items, key)?;
            items.get_mut(index).map_or(Ok(()), |item| put(item, deeper, node))
        }
        Value::Variable(_) => Err(set_twice(variable_in(parent).unwrap_or_default())),
        other => {
            // A value that stands in the way, such as the short form of a limit, gives way.
            *other = Value::Table(Table::new());
            put(parent, keys, node)
        }
    }
}

fn set_twice(other: &str) -> Flaw {
    Flaw::new(format!("the variable `{other}` sets this already; expected one of the two"))
}

/// A variable that a value, or a part of it, comes from.
fn variable_in(node: &Node) -> Option<&str> {
    match (&node.place, &node.value) {
        (Place::Variable(name), _) => Some(name),
        (_, Value::Table(table)) => table.values().find_map(|(_, node)| variable_in(node)),
        (_, Value::Array(items)) => items.iter().find_map(variable_in),
        _ => None,
    }
}

/// The key of `table` that a variable calls `key`.
fn matching(table: &Table, key: &str) -> Result<Option<String>, Flaw> {
    let mut found = table.keys().filter(|other| is_same(other, key));
    let first = found.next().cloned();
    match (&first, found.next()) {
        (Some(one), Some(other)) => Err(Flaw::new(format!(
            "both `{one}` and `{other}` are meant by this; expected another name for one of them"
        ))),
        _ => Ok(first),
    }
}

/// The place of the entry that a variable calls `key`.
fn position(items: &[Node], key: &str) -> Result<usize, Flaw> {
    let named = |item: &Node| match &item.value {
        Value::Table(table) => table
            .get("name")
            .and_then(|(_, name)| name.text())
            .is_some_and(|name| is_same(name, key)),
        _ => false,
    };
    let mut found = items.iter().enumerate().filter(|(_, item)| named(item)).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (Some(_), Some(_)) => Err(Flaw::new(format!(
            "several entries are called `{key}`; expected the place of one, counted from 0"
        ))),
        _ => key.parse().ok().filter(|index| *index < items.len()).ok_or_else(|| {
            let expected = match items.len() {
                0 => "the file has none".to_owned(),
                count => format!("expected a name, or a place from 0 to {}", count - 1),
            };
            Flaw::new(format!("no entry is called `{}`; {expected}", key.to_lowercase()))
        }),
    }
}

/// Whether a variable that says `spelled` means the key or name `written`.
fn is_same(written: &str, spelled: &str) -> bool {
    let folded = |character: char| match character {
        '-' | '.' | ':' => '_',
        other => other.to_ascii_lowercase(),
    };
    written.chars().map(folded).eq(spelled.chars().map(folded))
}
