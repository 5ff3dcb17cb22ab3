//! Requests whose keys lie in several slots of a cluster.
//!
//! No single step can reach all of them, so they are taken slot by slot, the narrowest identity
//! first: a client that is stopped by its own limit never touches the one that all share. If a later
//! slot denies, what the earlier ones took is given back.
//!
//! Never too many pass. While requests compete, one may be denied because of units that another one
//! gives back a moment later. If this process dies between taking and giving back, the units stay
//! taken until time returns them.

use std::sync::Arc;

use rate_limit_core::{
    Adjusted, Adjustment, Adjustments, Change, Charge, Charges, ClientIdentity, Outcome, Outcomes,
    Settled,
};

use crate::coalescing::Coalescer;
use crate::deciding::{Decided, Deciding, Taking};
use crate::guard::{Deadline, Guard};
use crate::link::{LinkError, Slot};
use crate::settling::Settling;

/// The charges of one request that lie in one slot.
pub(crate) struct Part {
    slot: Slot,
    breadth: u8,
    /// Where they stand in the request.
    indices: Vec<usize>,
    charges: Charges,
}

/// Divides a request by slots, narrowest first.
pub(crate) fn parts(charges: &Charges, slot_of: impl Fn(&ClientIdentity) -> Slot) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (index, charge) in charges.iter().enumerate() {
        let (slot, breadth) = (slot_of(charge.identity()), breadth(charge.identity()));
        match parts.iter_mut().find(|part| part.slot == slot) {
            Some(part) => {
                part.breadth = part.breadth.min(breadth);
                part.indices.push(index);
                part.charges.push(charge.clone());
            }
            None => parts.push(Part {
                slot,
                breadth,
                indices: vec![index],
                charges: Charges::one(charge.clone()),
            }),
        }
    }
    // Stable, so that two clients of one kind are always taken in the order of the request.
    parts.sort_by_key(|part| part.breadth);
    parts
}

/// How many clients share an identity of this kind, by and large: the fewer, the earlier it is
/// asked. Kinds are told by the first byte, see the table in the documentation of
/// [`ClientIdentity`].
fn breadth(identity: &ClientIdentity) -> u8 {
    match identity.as_bytes().first() {
        // A composition, an API key, a user.
        Some(0x20) => 0,
        Some(0x10 | 0x11) => 1,
        // An address may hide many users behind it.
        Some(0x04 | 0x06) => 2,
        Some(0x12) => 4,
        Some(0x01) => 5,
        Some(0x00) => 6,
        // A dimension of the application's own.
        _ => 3,
    }
}

/// What takes and gives back. Each step passes the guard of the server that it goes to.
pub(crate) struct Compensation {
    pub(crate) guard: Guard,
    pub(crate) decisions: Arc<Coalescer<Deciding>>,
    pub(crate) settlements: Arc<Coalescer<Settling>>,
}

impl Compensation {
    /// Takes all parts by `deadline`, or gives back what it took. Meant for a task of its own: a
    /// caller who goes away must not keep it from giving back.
    pub(crate) async fn acquire(
        self,
        deadline: Deadline,
        parts: Vec<Part>,
    ) -> Result<Outcomes, LinkError> {
        let mut outcomes: Vec<(usize, Outcome)> = Vec::new();
        let mut taken: Vec<(Part, Box<Decided>)> = Vec::new();
        let mut denied = false;
        for part in parts {
            let taking = if denied { Taking::Nothing } else { Taking::Provisionally };
            let asked = Deciding::new(part.charges.clone(), taking);
            let asked = self.decisions.clone().ask(part.slot, asked);
            let decided = match self.guard.protect_step(deadline, part.slot, asked).await {
                Ok(decided) => decided,
                Err(error) => {
                    self.give_back(&taken).await;
                    return Err(error);
                }
            };
            if !denied && !is_allowed(&part, &decided.outcomes) {
                denied = true;
                self.give_back(&taken).await;
                for (part, decided) in taken.drain(..) {
                    let before = decided.given_back.map_or(decided.outcomes, |before| *before);
                    note(&mut outcomes, &part, &before);
                }
            }
            if denied {
                note(&mut outcomes, &part, &decided.outcomes);
            } else {
                taken.push((part, decided));
            }
        }
        taken.iter().for_each(|(part, decided)| note(&mut outcomes, part, &decided.outcomes));
        outcomes.sort_by_key(|(index, _)| *index);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Gives everything back, with time of its own: the request may have used up its share. What is
    /// lost here stays taken until time returns it.
    async fn give_back(&self, taken: &[(Part, Box<Decided>)]) {
        for (part, decided) in taken {
            let refunds: Adjustments = part
                .charges
                .iter()
                .zip(decided.outcomes.iter())
                .filter_map(|(charge, outcome)| {
                    Some(Adjustment {
                        identity: charge.identity().clone(),
                        policy: charge.policy().clone(),
                        charged: outcome.charged?,
                        units: charge.units(),
                        change: Change::Refund(charge.units()),
                    })
                })
                .collect();
            if !refunds.is_empty() {
                let refunded = self.settlements.clone().ask(part.slot, Box::new(Settling(refunds)));
                _ = self.guard.protect_step(self.guard.deadline(), part.slot, refunded).await;
            }
        }
    }

    /// Carries out corrections in several slots by `deadline`, each by itself.
    pub(crate) async fn settle(
        self,
        deadline: Deadline,
        adjustments: Adjustments,
        slots: Vec<Slot>,
    ) -> Result<Settled, LinkError> {
        let mut order: Vec<(Slot, usize)> = slots.into_iter().zip(0..).collect();
        order.sort_unstable();
        let mut adjusted: Vec<(usize, Adjusted)> = Vec::new();
        let mut failed = None;
        for part in order.chunk_by(|one, other| one.0 == other.0) {
            let Some((slot, _)) = part.first() else { continue };
            let indices = part.iter().map(|(_, index)| *index);
            let own: Adjustments = indices
                .clone()
                .filter_map(|index| adjustments.iter().nth(index).cloned())
                .collect();
            let asked = self.settlements.clone().ask(*slot, Box::new(Settling(own)));
            match self.guard.protect_step(deadline, *slot, asked).await {
                Ok(settled) => adjusted.extend(indices.zip(settled.iter().copied())),
                // The others are corrected all the same.
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        adjusted.sort_unstable_by_key(|(index, _)| *index);
        Ok(adjusted.into_iter().map(|(_, adjusted)| adjusted).collect())
    }
}

/// Notes the outcomes of a part under the places of its charges in the request.
fn note(all: &mut Vec<(usize, Outcome)>, part: &Part, outcomes: &Outcomes) {
    all.extend(part.indices.iter().copied().zip(outcomes.iter().copied()));
}

fn is_allowed(part: &Part, outcomes: &Outcomes) -> bool {
    let violated = |(charge, outcome): (&Charge, &Outcome)| {
        charge.policy().is_enforced() && outcome.is_violated()
    };
    !part.charges.iter().zip(outcomes.iter()).any(violated)
}
