//! Reading what is asked: one question or many, in one of two forms.

use rate_limit_config::Configuration;
use rate_limit_tower::Question;
use serde_json::Value;

use super::{ad_hoc, by_rule};
use crate::fields::{Flaw, Flaws, Object};
use crate::said::Said;

/// Questions in one call at most.
const MAX_BATCH: usize = 256;

/// Limits that are charged together at most.
const MAX_DIMENSIONS: usize = 16;

/// Units that one question can charge.
pub(crate) const UNITS: std::ops::RangeInclusive<u64> = 0..=u32::MAX as u64;

/// Everything that was asked in one call.
#[derive(Debug)]
pub(super) enum Asked {
    Batch(Vec<Ask>),
    One(Ask),
}

impl Asked {
    /// What is asked, one by one.
    pub(super) fn asks(&self) -> &[Ask] {
        match self {
            Self::Batch(asks) => asks,
            Self::One(ask) => std::slice::from_ref(ask),
        }
    }
}

/// What is decided in one step.
#[derive(Debug)]
pub(super) struct Ask {
    /// Where it stands in the body, or its dimensions do.
    pub(super) path: String,
    pub(super) form: Form,
    pub(super) questions: Vec<Question>,
    pub(super) detail: Detail,
    pub(super) receipt: Receipt,
}

/// Who knows the limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// The question.
    AdHoc,
    /// The configuration.
    ByRule,
}

/// How much is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Detail {
    /// The policy that matters most.
    Closest,
    /// All of them, one by one.
    Every,
}

/// Whether the caller wants to settle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Receipt {
    Unwanted,
    Wanted,
}

/// The questions in a body.
pub(super) fn read(said: Said, configuration: &Configuration) -> Result<Asked, Vec<Flaw>> {
    let Said { value: body, mut flaws } = said;
    let asked = match &body {
        Value::Object(members) if members.contains_key("batch") => {
            batch(&body, configuration, &mut flaws)
        }
        _ => one("", &body, configuration, &mut flaws).map(Asked::One),
    };
    flaws.finish(asked)
}

fn batch(body: &Value, configuration: &Configuration, flaws: &mut Flaws) -> Option<Asked> {
    let object = Object::read("", body, &["batch"], flaws)?;
    let entries = object.list("batch", MAX_BATCH, flaws)?;
    let path = |index: usize| format!("batch[{index}]");
    let asks = entries.iter().enumerate();
    // All are read before one is decided, so that a mistake charges nobody.
    let asks: Vec<Option<Ask>> =
        asks.map(|(index, entry)| one(&path(index), entry, configuration, flaws)).collect();
    asks.into_iter().collect::<Option<_>>().map(Asked::Batch)
}

fn one(path: &str, value: &Value, configuration: &Configuration, flaws: &mut Flaws) -> Option<Ask> {
    let members = value.as_object();
    let has = |name: &str| members.is_some_and(|members| members.contains_key(name));
    if has("dimensions") {
        return several(path, value, configuration, flaws);
    }
    let form = if has("rule") { Form::ByRule } else { Form::AdHoc };
    let known = fields_of(form).iter().chain(&["receipt"]).copied().collect::<Vec<_>>();
    let object = Object::read(path, value, &known, flaws)?;
    let question = question(&object, form, configuration, flaws);
    let receipt = receipt(&object, flaws);
    let detail = if form == Form::AdHoc { Detail::Closest } else { Detail::Every };
    Some(Ask { path: object.path().to_owned(), form, questions: vec![question?], detail, receipt })
}

/// Several limits that are charged together, all or none.
fn several(
    path: &str,
    value: &Value,
    configuration: &Configuration,
    flaws: &mut Flaws,
) -> Option<Ask> {
    let object = Object::read(path, value, &["dimensions", "receipt"], flaws)?;
    let receipt = receipt(&object, flaws);
    let entries = object.list("dimensions", MAX_DIMENSIONS, flaws)?;
    let names_rule = |entry: &Value| entry.get("rule").is_some();
    let form = if entries.iter().any(names_rule) { Form::ByRule } else { Form::AdHoc };
    let mut read = |(index, entry): (usize, &Value)| {
        let path = format!("{}[{index}]", object.at("dimensions"));
        let entry = Object::read(path, entry, fields_of(form), flaws)?;
        question(&entry, form, configuration, flaws)
    };
    let questions: Vec<Option<Question>> = entries.iter().enumerate().map(&mut read).collect();
    let questions = questions.into_iter().collect::<Option<_>>()?;
    Some(Ask { path: object.at("dimensions"), form, questions, detail: Detail::Every, receipt })
}

const fn fields_of(form: Form) -> &'static [&'static str] {
    match form {
        Form::AdHoc => ad_hoc::FIELDS,
        Form::ByRule => by_rule::FIELDS,
    }
}

fn question(
    object: &Object<'_>,
    form: Form,
    configuration: &Configuration,
    flaws: &mut Flaws,
) -> Option<Question> {
    match form {
        Form::AdHoc => ad_hoc::question(object, configuration, flaws),
        Form::ByRule => by_rule::question(object, configuration, flaws),
    }
}

fn receipt(object: &Object<'_>, flaws: &mut Flaws) -> Receipt {
    if object.is_wanted("receipt", flaws) { Receipt::Wanted } else { Receipt::Unwanted }
}
