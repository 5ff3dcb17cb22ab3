//! Comparing answers, and naming what was compared.

use crate::charge::Charge;
use crate::conformance::trial::{Checked, ensure};
use crate::identity::ClientIdentity;
use crate::outcome::Outcome;

/// Every field but the mark, which belongs to the store.
pub(super) fn compare(charge: &Charge, seen: &Outcome, expected: &Outcome) -> Checked {
    let fields = |outcome: &Outcome| {
        let Outcome { verdict, remaining, reset_nanos, wait, charged } = *outcome;
        (verdict, remaining, reset_nanos, wait, charged.is_some())
    };
    ensure!(
        fields(seen) == fields(expected),
        "{} units for {} of {} answered {seen:?} instead of {expected:?}",
        charge.units(),
        name(charge.identity()),
        charge.policy()
    );
    Ok(())
}

/// Something short by which a history tells identities apart.
pub(super) fn name(identity: &ClientIdentity) -> String {
    let bytes = identity.as_bytes();
    format!("{identity:?}/{}/{:?}", bytes.len(), bytes.last())
}
