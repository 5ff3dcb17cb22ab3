//! Dimensions that meet in one bucket under different limits.
//!
//! What is charged to one bucket is summed, and one limit decides about the sum. Where the limits are
//! different, the stricter one might not be asked and nobody would notice. So such a question is refused:
//! whoever asks knows which limit is meant.

use rate_limit_core::{Charge, Charges, RateLimitPolicy};

use super::charged;
use super::question::{Ask, Form};
use crate::fields::{Flaw, Flaws};
use crate::problem::Problem;
use crate::service::Service;

/// Refuses questions in which limits dispute a bucket.
pub(super) async fn refuse(service: &Service, asks: &[Ask]) -> Result<(), Problem> {
    let mut flaws = Flaws::default();
    for ask in asks {
        note(service, ask, &mut flaws).await?;
    }
    flaws.finish(Some(())).map_err(Problem::of_fields)
}

async fn note(service: &Service, ask: &Ask, flaws: &mut Flaws) -> Result<(), Problem> {
    // The policies of one rule have buckets of their own.
    if ask.questions.len() < 2 {
        return Ok(());
    }
    let mut before: Vec<Charges> = Vec::with_capacity(ask.questions.len());
    for question in &ask.questions {
        let charges = charged(service, ask.form, std::slice::from_ref(question)).await?;
        for charge in charges.iter() {
            if let Some((place, other)) = disputed(&before, charge) {
                flaws.add(flaw(ask, [place, before.len()], [other, charge].map(Charge::policy)));
            }
        }
        before.push(charges);
    }
    Ok(())
}

/// The first charge on the same bucket under another limit, and to which question it belongs.
fn disputed<'a>(before: &'a [Charges], charge: &Charge) -> Option<(usize, &'a Charge)> {
    let disputes = |other: &&Charge| {
        other.policy().bucket_name() == charge.policy().bucket_name()
            && other.identity() == charge.identity()
            && other.policy() != charge.policy()
    };
    before
        .iter()
        .enumerate()
        .find_map(|(place, charges)| Some((place, charges.iter().find(disputes)?)))
}

fn flaw<P: AsRef<RateLimitPolicy>>(ask: &Ask, places: [usize; 2], policies: [P; 2]) -> Flaw {
    let [first, second] = places.map(|place| format!("{}[{place}]", ask.path));
    let [one, other] = policies.map(|policy| said(policy.as_ref()));
    let why = match ask.form {
        Form::AdHoc => "have the same tenantId, key and windowSeconds",
        Form::ByRule => "charge the same bucket of one rule, with different tiers",
    };
    let field = match ask.form {
        Form::AdHoc => format!("{second}.limit"),
        Form::ByRule => second.clone(),
    };
    Flaw::told(
        field,
        format!("{first} and {second} {why}; expected one limit, not {one} and {other}"),
    )
}

/// A limit in figures.
fn said(policy: &RateLimitPolicy) -> String {
    let (limit, seconds) = (policy.limit(), policy.window().as_secs_f64());
    match policy.capacity() {
        capacity if capacity == limit => format!("{limit} in {seconds} s"),
        capacity => format!("{limit} in {seconds} s with a burst of {capacity}"),
    }
}
