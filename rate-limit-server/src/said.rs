//! What a body or a query says, and what it says twice.
//!
//! A reader that is asked for a value lets the last of two members of one name win. Whoever wrote both
//! meant one of them, and nobody knows which: with two limits, the wrong one may let everybody pass.
//! So every name is taken once, and the second one is told.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};
use url::form_urlencoded;

use crate::fields::{Flaw, Flaws, cut};

/// Characters of a place that are told at most. No field of a question lies as deep.
const MAX_PLACE: usize = 160;

/// What is said, and what is wrong with it already.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) value: Value,
    pub(crate) flaws: Flaws,
}

/// What JSON says. Values that lie more than 128 deep are refused by the parser.
pub(crate) fn json(text: &[u8]) -> serde_json::Result<Said> {
    let mut reading = Reading::default();
    let mut parser = serde_json::Deserializer::from_slice(text);
    let value = One(&mut reading).deserialize(&mut parser)?;
    parser.end()?;
    Ok(Said { value, flaws: reading.flaws })
}

/// The names and values of a query.
pub(crate) fn query(query: &str) -> (Vec<(String, String)>, Flaws) {
    let (mut pairs, mut flaws) = (Vec::new(), Flaws::default());
    let mut names = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if names.insert(name.clone()) {
            pairs.push((name.into_owned(), value.into_owned()));
        } else {
            flaws.add(Flaw::twice(cut(&name)));
        }
    }
    (pairs, flaws)
}

/// Where the reader is, and what it has found.
#[derive(Default)]
struct Reading {
    place: String,
    flaws: Flaws,
}

impl Reading {
    /// Notes that the value at this place is the second one.
    fn note_twice(&mut self) {
        let more = self.place.chars().count().saturating_sub(MAX_PLACE);
        let dots = if more > 0 { "..." } else { "" };
        let end: String = self.place.chars().skip(more).collect();
        self.flaws.add(Flaw::twice(format!("{dots}{end}")));
    }
}

/// One value, read while everything in it is watched.
struct One<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        let here = self.0.place.len();
        loop {
            // Writing into a text cannot fail.
            let _ = write!(self.0.place, "[{}]", items.len());
            let item = sequence.next_element_seed(One(self.0))?;
            self.0.place.truncate(here);
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        let here = self.0.place.len();
        while let Some(name) = map.next_key::<String>()? {
            let dot = if here == 0 { "" } else { "." };
            let _ = write!(self.0.place, "{dot}{}", cut(&name));
            let value = map.next_value_seed(One(self.0))?;
            match members.entry(name) {
                Entry::Vacant(place) => _ = place.insert(value),
                Entry::Occupied(_) => self.0.note_twice(),
            }
            self.0.place.truncate(here);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws_of(flaws: Flaws) -> Vec<String> {
        let flaws = flaws.finish(None::<()>).unwrap_err();
        flaws.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_said_once_is_read_as_any_reader_does() {
        for text in [
            r#"{"a":[1,-2,1.5,"b",true,false,null,{}],"c":{"d":18446744073709551615,"":[]}}"#,
            "[[[]]]",
            r#""\u00e4""#,
            "-0.0",
            "1e308",
        ] {
            let said = json(text.as_bytes()).unwrap();
            assert_eq!(said.value, serde_json::from_str::<Value>(text).unwrap(), "{text}");
            assert_eq!(flaws_of(said.flaws), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_said_twice_is_told_wherever_it_lies() {
        let said = |text: &str| flaws_of(json(text.as_bytes()).unwrap().flaws);
        let twice = |places: &[&str]| -> Vec<String> {
            places.iter().map(|place| format!("{place}: said twice; expected once")).collect()
        };
        assert_eq!(said(r#"{"limit":1,"limit":500,"limit":7}"#), twice(&["limit"]));
        assert_eq!(said(r#"{"limit":1,"l\u0069mit":1}"#), twice(&["limit"]), "in other letters");
        assert_eq!(
            said(r#"{"batch":[1,{"identity":{"ip":"a","ip":"b"},"cost":1,"cost":1}],"batch":[]}"#),
            twice(&["batch[1].identity.ip", "batch[1].cost", "batch"]),
        );
        assert_eq!(said(r#"{"Cost":1,"cost":1}"#), twice(&[]), "two names");
        assert_eq!(said(r#"[{"a":1},{"a":1}]"#), twice(&[]), "two objects");
    }

    #[test]
    fn what_is_no_json_is_refused_as_ever() {
        for text in ["", "{", "{}{}", "01", "1e309", "nan", "{\"a\"}", "[1,]"] {
            let error = json(text.as_bytes()).unwrap_err();
            let expected = serde_json::from_str::<Value>(text).unwrap_err();
            assert_eq!(error.to_string(), expected.to_string(), "{text}");
        }
        assert!(json("[".repeat(127).as_bytes()).unwrap_err().is_eof());
        assert!(json("[".repeat(128).as_bytes()).unwrap_err().is_syntax(), "too deep");
    }

    #[test]
    fn places_are_not_told_at_any_length() {
        let name = "x".repeat(500);
        let mut text = r#"{"a":1,"a":1}"#.to_owned();
        for _ in 0..100 {
            text = format!("{{\"{name}\":{text}}}");
        }
        let flaws = flaws_of(json(text.as_bytes()).unwrap().flaws);
        assert!(flaws[0].len() < 200 && flaws[0].ends_with("x.a: said twice; expected once"));
    }

    #[test]
    fn a_query_says_everything_once_too() {
        let (pairs, flaws) = query("ip=a&user=%20&%69p=b&ip=c");
        assert_eq!(pairs, [("ip".into(), "a".into()), ("user".into(), " ".into())]);
        assert_eq!(flaws_of(flaws), ["ip: said twice; expected once"]);
    }
}
