//! Random requests and corrections.

use super::policies::Family;
use super::prng::Prng;
use crate::adjustment::Change;
use crate::charge::{Charge, Charges};
use crate::conformance::trial::Checked;
use crate::identity::ClientIdentity;

/// A few clients, near enough to each other to be mixed up.
pub(super) fn identities() -> Checked<Vec<ClientIdentity>> {
    let long = "x".repeat(300);
    Ok(vec![
        ClientIdentity::GLOBAL,
        ClientIdentity::user("a")?,
        ClientIdentity::tenant("a")?,
        ClientIdentity::user(format!("{long}a"))?,
        ClientIdentity::user(format!("{long}b"))?,
    ])
}

/// A request against one to six policies.
pub(super) fn charges(
    random: &mut Prng,
    families: &[Family],
    identities: &[ClientIdentity],
) -> Charges {
    let number = match random.between(1, 100) {
        1..=55 => 1,
        56..=75 => 2,
        76..=88 => 3,
        89..=97 => 4,
        _ => random.between(5, 6),
    };
    (0..number).filter_map(|_| some_charge(random, families, identities)).collect()
}

fn some_charge(
    random: &mut Prng,
    families: &[Family],
    identities: &[ClientIdentity],
) -> Option<Charge> {
    let family = random.one_of(families)?.some_version(random)?.clone();
    let identity = random.one_of(identities)?.clone();
    let units = units(random, family.capacity());
    Some(Charge::new(identity, family, units))
}

fn units(random: &mut Prng, capacity: u64) -> u64 {
    match random.between(1, 100) {
        1..=8 => 0,
        9..=60 => 1,
        61..=78 => random.between(2, 5),
        79..=90 => random.of_any_size(capacity),
        91..=95 => capacity,
        96..=98 => capacity + 1,
        99 => capacity.saturating_mul(2),
        _ => u64::MAX,
    }
}

/// A correction of a charge of `units`.
pub(super) fn change(random: &mut Prng, units: u64) -> Change {
    match random.between(1, 100) {
        1..=40 => Change::Refund(units),
        41..=62 => Change::Refund(random.of_any_size(units)),
        63..=68 => Change::Refund(u64::MAX),
        69..=71 => Change::Refund(0),
        72..=74 => Change::Add(0),
        75..=92 => Change::Add(random.between(1, 5)),
        93..=97 => Change::Add(units.saturating_mul(3)),
        _ => Change::Add(u64::MAX),
    }
}
