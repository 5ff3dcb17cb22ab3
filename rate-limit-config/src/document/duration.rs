//! Times with a unit.

use std::time::Duration;

use serde_json::json;

use crate::read::{FromText, Refused, closest};

/// A time with a unit, such as `50ms`, `1m` or `1d 12h`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period(pub(crate) Duration);

/// The units, for those who misspell one.
pub(super) const UNITS: [&str; 15] = [
    "ms", "s", "sec", "second", "seconds", "m", "min", "minute", "minutes", "h", "hour", "hours",
    "d", "day", "week",
];

impl FromText for Period {
    const EXPECTED: &'static str = "a time with a unit such as \"50ms\", \"1m\" or \"1d\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        parse(text).map(Self)
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^\\s*[0-9]", "examples": ["50ms", "1m", "1d"] })
    }
}

/// The time that a text says.
pub(super) fn parse(text: &str) -> Result<Duration, Refused> {
    if let Some(unit) = words(text).find(|word| is_uneven(word)) {
        let reason = format!("`{unit}` is no fixed time");
        return Err(Refused::because(reason).meant(meant(text)));
    }
    humantime::parse_duration(text).map_err(|error| match error {
        humantime::DurationError::NumberOverflow => Refused::because("the number is too large"),
        humantime::DurationError::UnknownUnit { unit, .. } if !unit.is_empty() => {
            Refused::because(format!("`{unit}` is no unit of time")).meant(meant(text))
        }
        _ => Refused::UNLIKE,
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty())
}

/// Months and years, and above all the `M` of somebody who means minutes.
fn is_uneven(word: &str) -> bool {
    matches!(word, "M" | "month" | "months" | "y" | "year" | "years" | "yr" | "yrs")
}

/// The text with the unit that was probably meant, if it is one number and one unit.
fn meant(text: &str) -> Option<String> {
    let unit = words(text).next()?;
    let meant = unit_meant(unit)?;
    let number = text.trim().strip_suffix(unit)?.trim();
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("\"{number}{meant}\""))
}

/// The unit that was probably meant.
pub(super) fn unit_meant(unit: &str) -> Option<&'static str> {
    match unit {
        "M" => Some("m"),
        "month" | "months" | "y" | "year" | "years" | "yr" | "yrs" => None,
        unit => closest(unit, UNITS),
    }
}
