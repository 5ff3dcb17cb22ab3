//! A question that names a rule of the configuration.

use rate_limit_config::Configuration;
use rate_limit_tower::Question;

use super::head;
use super::question::UNITS;
use crate::fields::{Flaw, Flaws, Object};

/// What such a question says.
pub(super) const FIELDS: &[&str] = &["rule", "identity", "request", "cost"];

/// Rules that a message names at most.
const NAMED: usize = 20;

pub(super) fn question(
    object: &Object<'_>,
    configuration: &Configuration,
    flaws: &mut Flaws,
) -> Option<Question> {
    let rule = rule(object, configuration, flaws);
    let cost = object.whole("cost", UNITS, flaws);
    let head = head::read(object, configuration, flaws);
    let question = Question::new(rule?, head?);
    Some(match cost {
        Some(units) => question.cost(units),
        None => question,
    })
}

/// The name of a rule that exists.
pub(crate) fn rule<'a>(
    object: &Object<'a>,
    configuration: &Configuration,
    flaws: &mut Flaws,
) -> Option<&'a str> {
    let Some(name) = object.text("rule", flaws) else {
        return object.missing("rule", "the name of a rule", flaws);
    };
    if configuration.rules.iter().any(|rule| rule.name == name) {
        return Some(name);
    }
    let names = configuration.rules.iter().take(NAMED).map(|rule| format!("`{}`", rule.name));
    let names = names.collect::<Vec<_>>().join(", ");
    let shown: String = name.chars().take(64).collect();
    let expected = format!("one of {names}, not {shown:?}");
    flaws.add(Flaw::new(object.at("rule"), expected));
    None
}
