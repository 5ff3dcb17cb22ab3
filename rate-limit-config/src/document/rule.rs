//! The sections `rule` and `rule.penalty`.

use rate_limit_core::FailureMode;
use rate_limit_tower::{Exposure, Preflight};
use serde_json::json;

use super::duration::Period;
use super::limit::Limits;
use super::names::{AbsoluteUrl, FieldName, HostName, MethodName, Name, PathPattern, PathPrefix};
use crate::configuration::{CountedResponses, KeyPart, OnMissing};
use crate::problem::Flaw;
use crate::read::{Key, Map, OneOf, OneOrMany, Read, Whole, choices, section};
use crate::source::Source;
use crate::tree::{Node, Value};

section! {
    /// Which requests are limited, whose buckets they charge, and how much.
    pub(crate) struct RuleSection {
        /// What the rule is called in responses, logs and metrics. Counters are kept under it.
        name: Name [required],
        /// Of each group, the most specific rule that matches applies. Rules of different groups
        /// apply together.
        group: Name,
        /// Only these methods; all by default. GET stands for HEAD too.
        methods: OneOrMany<MethodName>,
        /// Only these paths; `{name}` stands for a segment, `{*name}` for all the rest. All paths
        /// that no other rule of the group names by default.
        paths: OneOrMany<PathPattern>,
        /// Only these paths and all below them.
        path_prefixes: OneOrMany<PathPrefix>,
        /// Only these hosts; all by default.
        host: OneOrMany<HostName>,
        /// What is counted by: the client's address by default. A list is one bucket for each
        /// combination.
        key: OneOrMany<KeyPart>,
        /// How much is allowed, such as "100/min", or several limits that apply together.
        limit: Limits [required],
        /// How many units a request takes: a number, or a table. 1 by default.
        cost: CostValue,
        /// Whether the rule decides, or only watches.
        mode: OneOf<ModeWord>,
        /// For how many percent of all identities the rule decides; for the others it only watches.
        enforce_percent: Whole<1, 100>,
        /// What a request gets while the store does not answer. What the section `store` says by
        /// default.
        on_failure: OneOf<FailureMode>,
        /// Which requests count: all by default, or only those whose response is not a success.
        count: OneOf<CountedResponses>,
        /// What becomes of a request whose key is absent. What the section `identity` says by
        /// default.
        on_missing: OneOf<OnMissing>,
        /// Whether CORS preflights count. They do by default.
        preflight: OneOf<Preflight>,
        /// How much the client is told. What the section `responses` says by default.
        expose: OneOf<Exposure>,
        /// Where the client can read about this limit.
        documentation_url: AbsoluteUrl,
        /// Bans for those who are turned away again and again.
        penalty: PenaltySection,
    }
}

section! {
    /// Bans for those who are turned away again and again. Each further ban is longer.
    pub(crate) struct PenaltySection {
        /// After so many requests that were turned away ...
        after: Whole<1, { u32::MAX as u64 }> [required],
        /// ... within this time, counted from the first of them.
        within: Period [required],
        /// How long the first ban lasts. A minute by default.
        ban: Period,
        /// How many times longer each further ban lasts. 2 by default.
        factor: Whole<1, { u32::MAX as u64 }>,
        /// The longest ban. A day by default.
        max: Period,
        /// How much time without a ban takes one step back. An hour by default.
        decay: Period,
    }
}

section! {
    /// How many units a request takes, where that is not always the same.
    pub(crate) struct CostSection {
        /// The header field that says it. Only for fields that clients cannot write.
        header: FieldName,
        /// By method.
        methods: Map<Whole<0, { rate_limit_core::MAX_UNITS }>>,
        /// What a request costs of which nothing else is known. 1 by default.
        default: Whole<0, { rate_limit_core::MAX_UNITS }>,
        /// The least that a header field can say. 1 by default.
        min: Whole<0, { rate_limit_core::MAX_UNITS }>,
        /// The most that a header field can say.
        max: Whole<1, { rate_limit_core::MAX_UNITS }>,
    }
}

/// A cost in either form.
#[derive(Clone, Debug)]
pub(crate) enum CostValue {
    Table(Box<CostSection>),
    Units(u64),
}

impl Read for CostValue {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        match node.beyond_text().as_deref() {
            Some(Value::Table(_)) => {
                CostSection::read(node, at, source).map(|table| Self::Table(table.into()))
            }
            Some(Value::Integer(..)) => {
                let units = Whole::<0, { rate_limit_core::MAX_UNITS }>::read(node, at, source)?;
                Some(Self::Units(units.0))
            }
            _ => {
                let expected =
                    "a whole number, or a table such as { header = \"x-cost\", max = 100 }";
                source.refuse(&node.place, at, Flaw::expected(expected).value(node.shown()));
                None
            }
        }
    }

    fn schema() -> serde_json::Value {
        let units = Whole::<0, { rate_limit_core::MAX_UNITS }>::schema();
        json!({ "anyOf": [units, CostSection::schema()] })
    }
}

/// Whether a rule decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ModeWord {
    Enforce,
    Shadow,
}

choices! { ModeWord:
    "enforce" => Self::Enforce,
    "shadow" => Self::Shadow,
}

choices! { FailureMode:
    "local" => Self::Local,
    "deny" => Self::Deny,
    "allow" => Self::Allow,
    "allow_unlimited" => Self::AllowUnlimited,
}

choices! { CountedResponses:
    "all" => Self::All,
    "failures" => Self::Failures,
}

choices! { OnMissing:
    "ip" => Self::Ip,
    "anonymous" => Self::Anonymous,
    "reject" => Self::Reject,
    "skip" => Self::Skip,
}

choices! { Preflight:
    "count" => Self::Count,
    "skip" => Self::Skip,
}

choices! { Exposure:
    "none" => Self::None,
    "minimal" => Self::Minimal,
    "full" => Self::Full,
}
