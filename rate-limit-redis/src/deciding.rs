//! Several requests in one call, and their answers.
//!
//! The script decides and writes; it answers with the states that it has *read*. From these, and
//! from the instant at which it read them, core's own [`evaluate`] arrives at the same decisions here,
//! so what remains and how long to wait is reckoned by the code that all stores share, to the last
//! bit, and costs the server nothing. The script's verdicts are part of the answer. Should they ever
//! differ from core's, the answer is an error and no guess.

use std::sync::Arc;

use rate_limit_core::{
    Charge, Charges, Now, Outcome, Outcomes, PolicyVerdict, RateLimitPolicy, Record, evaluate,
    evaluate_one,
};
use smallvec::SmallVec;

use crate::asked::write_charge;
use crate::coalescing::Request;
use crate::key::KeyRing;
use crate::keyed::{Kept, Keys, Ladder, read_states};
use crate::link::LinkError;
use crate::script::{
    DECIDE, DECIDE_ALIKE, DECIDE_BUCKETS, DECIDE_SINGLE, Script, ScriptCall, write_time,
};
use crate::stored::{Kind, Place, Reader, State, give_back, lend};

/// One request.
#[derive(Debug)]
pub(crate) struct Deciding {
    charges: Charges,
    taking: Taking,
}

/// What a request may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taking {
    /// Everything if all enforced policies admit, otherwise nothing.
    AllOrNothing,
    /// The same, and it may be given back: the answer also says how things stood before.
    Provisionally,
    /// Nothing, because the request is denied already. Denials are strikes all the same.
    Nothing,
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) outcomes: Outcomes,
    /// What the outcomes are once everything that was taken is given back.
    pub(crate) given_back: Option<Box<Outcomes>>,
}

impl Deciding {
    /// Why `charges` cannot be asked for in one call.
    pub(crate) fn refused(charges: &Charges) -> Option<String> {
        if charges.len() > MAX_CHARGES {
            let count = charges.len();
            return Some(format!("a request has {count} charges; expected at most {MAX_CHARGES}"));
        }
        let unknown = |charge: &&Charge| Kind::of(charge.policy().algorithm()).is_none();
        let policy = charges.iter().find(unknown)?.policy();
        Some(format!("the Redis store does not know how to count `{policy}`"))
    }

    /// A request that [`refused`](Self::refused) found nothing wrong with.
    pub(crate) fn new(charges: Charges, taking: Taking) -> Box<Self> {
        // It changes hands several times, and is large.
        Box::new(Self { charges, taking })
    }
}

/// The most charges of one request. With their ladders they are twice as many keys, and the script
/// can list eight thousand.
const MAX_CHARGES: usize = 1_000;

/// Marks a number in the program.
const TOP_BIT: u16 = 1 << 15;

/// What the answers to a call refer to.
pub(crate) struct Plan {
    kept: Vec<Kept>,
    places: Vec<Place>,
}

/// The terms of a call: what charges ask for, each different one once.
#[derive(Default)]
struct Terms<'a> {
    known: Vec<(&'a RateLimitPolicy, u64)>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> Terms<'a> {
    /// The number of the term, counted from one.
    fn number(&mut self, charge: &'a Charge, kind: Kind, ladder: Ladder) -> u16 {
        let policy: &RateLimitPolicy = charge.policy();
        let is_same = |known: &(&RateLimitPolicy, u64)| {
            std::ptr::eq(known.0, policy) && known.1 == charge.units()
        };
        // Requests that travel together mostly ask for the same; searching further back would cost
        // more than it saves.
        let recent = self.known.len().saturating_sub(8);
        let found = self.known.iter().skip(recent).position(is_same);
        let index = found.map_or(self.known.len(), |index| recent + index);
        if found.is_none() {
            self.known.push((policy, charge.units()));
            write_charge(policy, kind, charge.units(), ladder, &mut self.bytes);
            self.ends.push(self.bytes.len());
        }
        u16::try_from(index + 1).unwrap_or(u16::MAX)
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

impl Request for Deciding {
    type Answer = Box<Decided>;
    type Plan = Plan;

    fn weight(&self) -> usize {
        self.charges.len()
    }

    fn call(requests: &[&Self], ring: &KeyRing, now: Option<Now>) -> (ScriptCall, Plan) {
        let charges = requests.iter().map(|request| request.charges.len()).sum::<usize>();
        let mut keys = Keys::new(ring, ScriptCall::new(&DECIDE, charges + 8), charges);
        let mut places = Vec::with_capacity(charges);
        for charge in requests.iter().flat_map(|request| request.charges.iter()) {
            let policy = charge.policy();
            let Some(kind) = Kind::of(policy.algorithm()) else { continue };
            places.push(keys.place(charge.identity(), policy, kind, Ladder::of(policy)));
        }
        let (call, kept) = keys.finish();
        let alike = are_alike(requests, &places);
        let mut call = call.of(match alike {
            // Each has as many charges as the others.
            true if charges == requests.len() => &DECIDE_SINGLE,
            true => &DECIDE_ALIKE,
            false => script_for(requests),
        });
        call.arg(|to| write_time(now, to));
        if alike {
            call.arg(|to| write_shape(requests, to));
        } else {
            write_program(requests, &places, &mut call);
        }
        (call, Plan { kept, places })
    }

    fn answers(
        requests: &[&Self],
        plan: Plan,
        now: Option<Now>,
        reply: &[u8],
    ) -> Option<Vec<Result<Box<Decided>, LinkError>>> {
        let mut reader = Reader(reply);
        let server = reader.now()?;
        let now = now.unwrap_or(server);
        let mut verdicts = reader.bytes(plan.places.len())?;
        let mut states = read_states(&mut reader, &plan.kept, now)?;
        let mut places = plan.places.as_slice();
        requests
            .iter()
            .map(|request| {
                let (own_places, other_places) = places.split_at_checked(request.charges.len())?;
                let (own_verdicts, others) = verdicts.split_at_checked(request.charges.len())?;
                (places, verdicts) = (other_places, others);
                let decided = decide(request, own_places, &mut states, now);
                let agreed = decided.outcomes.iter().zip(own_verdicts);
                let agreed = agreed.fold(true, |all, (outcome, verdict)| {
                    all && *verdict == verdict_byte(outcome.verdict)
                });
                let disagreement = LinkError::Corrupt("the script and core disagree");
                Some(if agreed { Ok(decided) } else { Err(disagreement) })
            })
            .collect()
    }
}

/// Whether all requests ask for the same of token buckets without ladders, and each has keys of its
/// own. Nearly all calls are of this kind, and cost the server the least.
fn are_alike(requests: &[&Deciding], places: &[Place]) -> bool {
    let Some((first, others)) = requests.split_first() else { return false };
    let is_like_the_first = |other: &&Deciding| {
        let mut pairs = first.charges.iter().zip(other.charges.iter());
        other.charges.len() == first.charges.len()
            && pairs.all(|(one, other)| {
                Arc::ptr_eq(one.policy(), other.policy()) && one.units() == other.units()
            })
    };
    // A key that was met before does not stand where a new one would.
    let is_new = |(index, place): (usize, &Place)| usize::from(place.bucket) == index;
    first.charges.iter().all(is_plain)
        && others.iter().all(is_like_the_first)
        && requests.iter().all(|request| request.taking != Taking::Nothing)
        && places.iter().enumerate().all(is_new)
}

/// What the other algorithms and ladders need is left out if nobody asks for it, because the server
/// runs a script from its first line in every call.
fn script_for(requests: &[&Deciding]) -> &'static Script {
    let all_plain = requests.iter().all(|request| request.charges.iter().all(is_plain));
    if all_plain { &DECIDE_BUCKETS } else { &DECIDE }
}

fn is_plain(charge: &Charge) -> bool {
    let policy = charge.policy();
    Kind::of(policy.algorithm()) == Some(Kind::TokenBucket) && Ladder::of(policy) == Ladder::Ignored
}

/// What each of several requests asks for that are all alike.
fn write_shape(requests: &[&Deciding], to: &mut Vec<u8>) {
    let mut term = Vec::with_capacity(18);
    for charge in requests.iter().take(1).flat_map(|request| request.charges.iter()) {
        term.clear();
        write_charge(
            charge.policy(),
            Kind::TokenBucket,
            charge.units(),
            Ladder::Ignored,
            &mut term,
        );
        // They are all of one kind.
        to.extend_from_slice(term.get(1..).unwrap_or_default());
    }
}

/// What requests of any kind ask for, charge by charge.
fn write_program(requests: &[&Deciding], places: &[Place], call: &mut ScriptCall) {
    let mut terms = Terms::default();
    let mut program = Vec::with_capacity(places.len() * 4);
    let mut places = places.iter();
    for request in requests {
        let last = request.charges.len().saturating_sub(1);
        for (index, charge) in request.charges.iter().enumerate() {
            let policy = charge.policy();
            let Some(kind) = Kind::of(policy.algorithm()) else { continue };
            let Some(place) = places.next() else { continue };
            let term = terms.number(charge, kind, Ladder::of(policy));
            let forbidden = if request.taking == Taking::Nothing { TOP_BIT } else { 0 };
            let ends = if index == last { TOP_BIT } else { 0 };
            program.extend_from_slice(&((place.bucket + 1) | forbidden).to_be_bytes());
            program.extend_from_slice(&(term | ends).to_be_bytes());
            if let Some(ladder) = place.ladder {
                program.extend_from_slice(&(ladder + 1).to_be_bytes());
            }
        }
    }
    call.arg(|to| to.extend_from_slice(&program));
    terms.iter().for_each(|term| call.arg(|to| to.extend_from_slice(term)));
}

/// The byte by which the script names a verdict.
const fn verdict_byte(verdict: PolicyVerdict) -> u8 {
    match verdict {
        PolicyVerdict::Deny => b'0',
        PolicyVerdict::Admit => b'1',
        PolicyVerdict::Ban => b'2',
    }
}

/// Decides one request as the script did, on the states that its predecessors in the call left.
fn decide(request: &Deciding, places: &[Place], states: &mut [State], now: Now) -> Box<Decided> {
    let charges = &request.charges;
    if let (Taking::AllOrNothing, Some(charge), [place]) = (request.taking, charges.get(0), places)
    {
        let mut record = lend(states, *place);
        let outcomes = Outcomes::one(evaluate_one(charge, &mut record, now));
        give_back(states, *place, record);
        return Box::new(Decided { outcomes, given_back: None });
    }
    let mut records: SmallVec<[Record; 4]> =
        places.iter().map(|place| lend(states, *place)).collect();
    let decided = match request.taking {
        Taking::AllOrNothing => {
            Decided { outcomes: evaluate(charges, &mut records, now), given_back: None }
        }
        Taking::Provisionally => {
            let before: Vec<Outcome> = charges
                .iter()
                .zip(&records)
                .map(|(charge, record)| standing(charge, &mut record.clone(), now))
                .collect();
            let outcomes = evaluate(charges, &mut records, now);
            let given_back = outcomes.iter().zip(before).map(|(outcome, before)| Outcome {
                remaining: before.remaining,
                reset_nanos: before.reset_nanos,
                charged: None,
                ..*outcome
            });
            let given_back = Some(Box::new(given_back.collect()));
            Decided { outcomes, given_back }
        }
        Taking::Nothing => {
            let outcomes = charges.iter().zip(&mut records).map(|(c, r)| refuse(c, r, now));
            Decided { outcomes: outcomes.collect(), given_back: None }
        }
    };
    places.iter().zip(records).for_each(|(place, record)| give_back(states, *place, record));
    Box::new(decided)
}

/// Where the owner stands, without taking anything.
fn standing(charge: &Charge, record: &mut Record, now: Now) -> Outcome {
    let asking = Charge::new(charge.identity().clone(), charge.policy().clone(), 0);
    evaluate_one(&asking, record, now)
}

/// What the policy says to a charge that is not taken in any case.
fn refuse(charge: &Charge, record: &mut Record, now: Now) -> Outcome {
    let mut tried = record.clone();
    let Outcome { verdict, wait, .. } = evaluate_one(charge, &mut tried, now);
    let Outcome { remaining, reset_nanos, .. } = standing(charge, record, now);
    // A strike stays, whatever it was for.
    record.ladder = tried.ladder;
    Outcome { verdict, remaining, reset_nanos, wait, charged: None }
}

#[cfg(test)]
mod tests;
