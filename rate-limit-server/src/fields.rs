//! Reading the fields of a JSON object, with everything that is wrong said at once: which field, what
//! it holds, what was expected.
//!
//! A reader that is derived stops at the first mistake and speaks of types of this program.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

mod flaw;

pub(crate) use flaw::{Flaw, Flaws, cut};

/// A JSON object whose fields are read.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// The object at `path`, in which no other fields than `known` are accepted.
    pub(crate) fn read(
        path: impl Into<String>,
        value: &'a Value,
        known: &[&str],
        flaws: &mut Flaws,
    ) -> Option<Self> {
        let path = path.into();
        let Value::Object(members) = value else {
            flaws.add(Flaw::of_value(path, value, "a JSON object"));
            return None;
        };
        let object = Self { path, members };
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            let known = known.join(", ");
            flaws.add(Flaw::new(object.at(&cut(name)), format!("no such field, only {known}")));
        }
        Some(object)
    }

    /// Where this object is.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where a field of this object is.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, name: &str, flaws: &mut Flaws) -> Option<&'a str> {
        match self.members.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text),
            other => {
                flaws.add(Flaw::of_value(self.at(name), other, "a text that is not empty"));
                None
            }
        }
    }

    /// A whole number.
    pub(crate) fn whole(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
        flaws: &mut Flaws,
    ) -> Option<u64> {
        let value = self.members.get(name)?;
        let number = value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            flaws.add(Flaw::of_value(self.at(name), value, expected));
        }
        number
    }

    /// Whether something is wanted; not if nothing is said.
    pub(crate) fn is_wanted(&self, name: &str, flaws: &mut Flaws) -> bool {
        match self.members.get(name) {
            None => false,
            Some(Value::Bool(wanted)) => *wanted,
            Some(other) => {
                flaws.add(Flaw::of_value(self.at(name), other, "true or false"));
                false
            }
        }
    }

    /// A list with at least one entry.
    pub(crate) fn list(&self, name: &str, max: usize, flaws: &mut Flaws) -> Option<&'a [Value]> {
        match self.members.get(name)? {
            Value::Array(items) if (1..=max).contains(&items.len()) => Some(items),
            other => {
                let expected = format!("an array of 1 to {max} entries");
                flaws.add(Flaw::of_value(self.at(name), other, expected));
                None
            }
        }
    }

    /// Texts by their names.
    pub(crate) fn texts(&self, name: &str, flaws: &mut Flaws) -> Vec<(&'a str, &'a str)> {
        let Some(value) = self.members.get(name) else {
            return Vec::new();
        };
        let path = self.at(name);
        let Value::Object(members) = value else {
            flaws.add(Flaw::of_value(path, value, "a JSON object of texts"));
            return Vec::new();
        };
        let inner = Self { path, members };
        members.keys().filter_map(|name| Some((name.as_str(), inner.text(name, flaws)?))).collect()
    }

    /// Notes that a field is missing, and yields nothing.
    pub(crate) fn missing<T>(&self, name: &str, expected: &str, flaws: &mut Flaws) -> Option<T> {
        // One that is there and wrong was noted already.
        if !self.has(name) {
            flaws.add(Flaw::new(self.at(name), format!("{expected}, and it is missing")));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws_of(body: &str) -> Vec<String> {
        let value: Value = serde_json::from_str(body).unwrap();
        let mut flaws = Flaws::default();
        if let Some(object) = Object::read("", &value, &["rule", "cost", "identity"], &mut flaws) {
            object.text("rule", &mut flaws);
            object.whole("cost", 0..=10, &mut flaws);
            if let Some(value) = object.value("identity") {
                let identity = Object::read("identity", value, &["apiKey"], &mut flaws);
                identity.and_then(|identity| identity.text("apiKey", &mut flaws));
            }
        }
        flaws.finish(None::<()>).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_flaw_names_field_value_and_expectation() {
        assert_eq!(flaws_of(r#"{"rule":"api","cost":1}"#), [""; 0]);
        assert_eq!(
            flaws_of(r#"{"rule":"","cost":-1,"costs":2}"#),
            [
                "costs: expected no such field, only rule, cost, identity",
                "rule: \"\"; expected a text that is not empty",
                "cost: -1; expected a whole number from 0 to 10",
            ],
        );
        for cost in ["0.5", "\"1\"", "11", "1.0", "18446744073709551616", "null", "[1]", "{}"] {
            let flaws = flaws_of(&format!(r#"{{"cost":{cost}}}"#));
            let [flaw] = flaws.as_slice() else { panic!("{cost}: {flaws:?}") };
            assert!(flaw.ends_with("; expected a whole number from 0 to 10"), "{flaw}");
        }
        assert_eq!(flaws_of("[]"), ["the body: an array of 0; expected a JSON object"]);
    }

    #[test]
    fn what_an_identity_holds_is_not_repeated() {
        let flaws = flaws_of(r#"{"identity":{"apiKey":5551234}}"#);
        assert_eq!(flaws, ["identity.apiKey: expected a text that is not empty"]);
    }

    #[test]
    fn an_answer_is_not_longer_than_its_question() {
        let many: Vec<String> =
            (0..10_000).map(|n| format!("\"{n}{}\":1", "x".repeat(500))).collect();
        let flaws = flaws_of(&format!("{{{}}}", many.join(",")));
        assert_eq!(flaws.len(), Flaws::MAX);
        assert!(flaws.iter().all(|flaw| flaw.len() < 200));
    }
}
