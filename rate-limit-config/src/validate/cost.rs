//! How many units a request takes.

use std::sync::Arc;

use http::Method;
use rate_limit_core::{MAX_UNITS, RateLimitPolicy};

use crate::configuration::{Cost, HeaderCost, MethodCost};
use crate::document::{CostSection, CostValue, MethodName};
use crate::problem::Flaw;
use crate::read::{FromText, Key, Located};
use crate::source::{Place, Source};

pub(super) fn cost(
    value: Option<&Located<CostValue>>,
    limits: &[Arc<RateLimitPolicy>],
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> Cost {
    let Some(Located { place, value }) = value else {
        return Cost::Units(1);
    };
    let cost = match value {
        CostValue::Units(units) => Cost::Units(*units),
        CostValue::Table(table) => of_table(table, place, key, source),
    };
    check_fits(&cost, limits, place, key, source);
    if cost == Cost::Units(0) {
        source.warn(place, key, Flaw::new("a request that costs nothing is never turned away"));
    }
    cost
}

/// Notes limits under which no request can ever pass, whatever it costs.
pub(super) fn check_fits(
    cost: &Cost,
    limits: &[Arc<RateLimitPolicy>],
    place: &Place,
    key: &Key<'_>,
    source: &mut Source<'_>,
) {
    let least = match cost {
        Cost::Units(units) => *units,
        Cost::Header(header) => header.min,
        Cost::Methods(methods) => {
            let named = methods.methods.iter().map(|(_, units)| *units);
            named.chain([methods.default]).min().unwrap_or_default()
        }
    };
    let tightest = limits.iter().min_by_key(|policy| policy.capacity());
    if let Some(policy) = tightest.filter(|policy| least > policy.capacity()) {
        let message = format!(
            "no request can ever pass, because each costs at least {least} units, and the limit `{}` \
             holds at most {} at once; expected a lower cost or a higher burst",
            policy.name(),
            policy.capacity(),
        );
        source.refuse(place, key, Flaw::new(message));
    }
}

fn of_table(table: &CostSection, place: &Place, key: &Key<'_>, source: &mut Source<'_>) -> Cost {
    let units = |value: &Option<Located<_>>, default| {
        value
            .as_ref()
            .map_or(default, |located: &Located<crate::read::Whole<0, MAX_UNITS>>| located.value.0)
    };
    let default = units(&table.default, 1);
    match (&table.header, &table.methods) {
        (Some(header), None) => {
            let min = units(&table.min, 1);
            let max = table.max.as_ref().map_or(MAX_UNITS, |max| max.value.0);
            if !(min..=max).contains(&default) {
                let message = "expected `min` to be at most `default`, and `default` at most `max`";
                source.refuse(place, key, Flaw::new(message));
            }
            Cost::Header(HeaderCost { header: header.value.0.clone(), default, min, max })
        }
        (None, Some(methods)) => {
            for (bound, name) in [
                (table.min.as_ref().map(|min| &min.place), "min"),
                (table.max.as_ref().map(|max| &max.place), "max"),
            ] {
                if let Some(bound) = bound {
                    let flaw = Flaw::new("this says nothing without `header`");
                    source.refuse(bound, key.named(name), flaw);
                }
            }
            let methods_key = key.named("methods");
            let named = methods.value.entries.iter().filter_map(|(name, units)| {
                Some((method(name, &methods_key, source)?, units.value.0))
            });
            Cost::Methods(MethodCost { methods: named.collect(), default })
        }
        (Some(_), Some(_)) | (None, None) => {
            source.refuse(place, key, Flaw::expected("either `header` or `methods`"));
            Cost::Units(1)
        }
    }
}

fn method(name: &Located<String>, key: &Key<'_>, source: &mut Source<'_>) -> Option<Method> {
    MethodName::from_text(&name.value)
        .map(|method| method.0)
        .map_err(|refused| {
            source.refuse(&name.place, key.named(&name.value), refused.flaw(MethodName::EXPECTED));
        })
        .ok()
}
