//! Limits, in their short form and as tables.

use std::time::Duration;

use rate_limit_core::Alignment;
use serde_json::json;

use super::duration::{self, Period};
use super::names::Name;
use crate::read::{
    FromText, Key, Located, OneOf, OneOrMany, Read, Refused, Whole, choices, section,
};
use crate::source::Source;
use crate::tree::{Node, Value};

/// One limit or several.
pub(crate) type Limits = OneOrMany<LimitValue>;

/// A limit in either form.
#[derive(Clone, Debug)]
pub(crate) enum LimitValue {
    Short(ShortLimit),
    Table(Box<LimitSection>),
}

/// `100/min`, `100 per minute`, `10/30s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortLimit {
    pub(crate) units: u64,
    pub(crate) window: Duration,
}

section! {
    /// A limit with everything that can be said about it.
    pub(crate) struct LimitSection {
        /// So many units ...
        limit: Whole<1, { rate_limit_core::MAX_UNITS }> [required],
        /// ... in this time.
        window: Period [required],
        /// The most units at once, for a token bucket. The limit by default.
        burst: Whole<1, { rate_limit_core::MAX_UNITS }>,
        /// How units are counted. A token bucket by default.
        algorithm: OneOf<AlgorithmWord>,
        /// Where the windows of `fixed_window` begin: with the first request, or on the clock in
        /// UTC, so that a day is a calendar day.
        alignment: OneOf<Alignment>,
        /// What tells this limit from the others of its rule. Counters are kept under this name.
        name: Name,
    }
}

/// How units are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AlgorithmWord {
    FixedWindow,
    SlidingLog,
    SlidingWindow,
    TokenBucket,
}

choices! { AlgorithmWord:
    "token_bucket" => Self::TokenBucket,
    "fixed_window" => Self::FixedWindow,
    "sliding_window" => Self::SlidingWindow,
    "sliding_log" => Self::SlidingLog,
}

choices! { Alignment:
    "first_request" => Self::FirstRequest,
    "utc" => Self::Utc,
}

impl Read for LimitValue {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        let is_table = match &node.value {
            Value::Variable(text) => text.trim_start().starts_with('{'),
            Value::Table(_) => true,
            _ => false,
        };
        if is_table {
            return LimitSection::read(node, at, source).map(|table| Self::Table(table.into()));
        }
        ShortLimit::read(node, at, source).map(Self::Short)
    }

    fn schema() -> serde_json::Value {
        json!({ "anyOf": [ShortLimit::schema(), LimitSection::schema()] })
    }
}

impl FromText for ShortLimit {
    const EXPECTED: &'static str = "a limit such as \"100/min\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        let (units, window) = text
            .split_once('/')
            .or_else(|| text.split_once(" per "))
            .map(|(units, window)| (units.trim(), window.trim()))
            .ok_or(Refused::UNLIKE)?;
        // Underscores between digits, as the numbers of the file may have.
        let is_group = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
        if !units.split('_').all(is_group) {
            return Err(Refused::UNLIKE);
        }
        let number = units
            .replace('_', "")
            .parse()
            .map_err(|_| Refused::because("the number of units is too large"))?;
        let window = unit_of(window).map_err(|refused| {
            let meant = duration::unit_meant(window).map(|unit| format!("\"{units}/{unit}\""));
            Refused { reason: refused.reason, suggestion: None }.meant(meant)
        })?;
        Ok(Self { units: number, window })
    }

    fn text_schema() -> serde_json::Value {
        json!({
            "type": "string",
            "pattern": "^\\s*[0-9]+(_[0-9]+)*\\s*(/| per )",
            "examples": ["100/min", "10/s", "5000/day", "20/30s"],
        })
    }
}

/// The time in which units are counted: a time, or a unit that stands for one of it.
pub(crate) fn unit_of(window: &str) -> Result<Duration, Refused> {
    if window.starts_with(|character: char| character.is_alphabetic()) {
        duration::parse(&format!("1{window}"))
    } else {
        duration::parse(window)
    }
}

impl LimitValue {
    /// The name that the file gives it.
    pub(crate) fn name(&self) -> Option<&Located<Name>> {
        match self {
            Self::Short(_) => None,
            Self::Table(table) => table.name.as_ref(),
        }
    }
}
