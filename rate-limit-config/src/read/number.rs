//! Whole numbers within a range.

use serde_json::json;

use super::{Key, Read};
use crate::problem::Flaw;
use crate::source::Source;
use crate::tree::{Node, Value};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(pub(crate) u64);

impl<const MIN: u64, const MAX: u64> Read for Whole<MIN, MAX> {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        let number = match node.beyond_text().as_deref() {
            Some(Value::Integer(number, _)) => number.and_then(|number| u64::try_from(number).ok()),
            _ => None,
        };
        let within = number.filter(|number| (MIN..=MAX).contains(number));
        if within.is_none() {
            let flaw = Flaw::expected(format!("a whole number from {MIN} to {MAX}"));
            source.refuse(&node.place, at, flaw.value(node.shown()));
        }
        within.map(Self)
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number, in a type that holds it. Ranges are chosen so that it does.
    pub(crate) fn to<T: TryFrom<u64> + Default>(self) -> T {
        T::try_from(self.0).unwrap_or_default()
    }
}
