//! Several corrections in one call, and what became of them.

use rate_limit_core::{
    Adjusted, Adjustment, Adjustments, Change, Now, RateLimitPolicy, Settled, adjust,
};

use crate::asked::write_adjustment;
use crate::coalescing::Request;
use crate::key::KeyRing;
use crate::keyed::{Kept, Keys, Ladder, read_states};
use crate::link::LinkError;
use crate::script::{SETTLE, ScriptCall, write_time};
use crate::stored::{Kind, Place, Reader, State, give_back, lend};

/// All corrections of one request.
#[derive(Debug)]
pub(crate) struct Settling(pub(crate) Adjustments);

/// What the answers to a call refer to.
pub(crate) struct Plan {
    kept: Vec<Kept>,
    places: Vec<Place>,
}

impl Request for Settling {
    type Answer = Settled;
    type Plan = Plan;

    fn weight(&self) -> usize {
        self.0.len()
    }

    fn call(requests: &[&Self], ring: &KeyRing, now: Option<Now>) -> (ScriptCall, Plan) {
        let count = requests.iter().map(|request| request.0.len()).sum::<usize>();
        let mut keys = Keys::new(ring, ScriptCall::new(&SETTLE, count * 2 + 1), count);
        let mut places = Vec::with_capacity(count);
        let mut terms: Vec<Vec<u8>> = Vec::with_capacity(count);
        for adjustment in requests.iter().flat_map(|request| request.0.iter()) {
            let Some(kind) = kind_of(&adjustment.policy) else { continue };
            let place = keys.place(&adjustment.identity, &adjustment.policy, kind, Ladder::Ignored);
            let mut term = Vec::with_capacity(36);
            write_adjustment(adjustment, kind, place.bucket + 1, &mut term);
            terms.push(term);
            places.push(place);
        }
        let (mut call, kept) = keys.finish();
        call.arg(|to| write_time(now, to));
        terms.iter().for_each(|term| call.arg(|to| to.extend_from_slice(term)));
        (call, Plan { kept, places })
    }

    fn answers(
        requests: &[&Self],
        plan: Plan,
        now: Option<Now>,
        reply: &[u8],
    ) -> Option<Vec<Result<Settled, LinkError>>> {
        let mut reader = Reader(reply);
        let server = reader.now()?;
        let now = now.unwrap_or(server);
        let all = || requests.iter().flat_map(|request| request.0.iter());
        let of_logs = all().filter(|it| kind_of(&it.policy) == Some(Kind::SlidingLog)).count();
        let mut units_of_logs = Reader(reader.bytes(of_logs * 2)?);
        let mut states = read_buckets(&mut reader, &plan, now)?;
        let mut places = plan.places.iter();
        requests
            .iter()
            .map(|request| {
                let adjusted = request.0.iter().map(|adjustment| {
                    let place = *places.next()?;
                    if kind_of(&adjustment.policy) == Some(Kind::SlidingLog) {
                        return Some(of_log(adjustment, units_of_logs.u16()?.into()));
                    }
                    let mut record = lend(&mut states, place);
                    let adjusted = adjust(adjustment, &mut record, now);
                    give_back(&mut states, place, record);
                    Some(adjusted)
                });
                adjusted.collect::<Option<Settled>>().map(Ok)
            })
            .collect()
    }
}

fn kind_of(policy: &RateLimitPolicy) -> Option<Kind> {
    Kind::of(policy.algorithm())
}

/// The states of all but logs: entries of a log are found where they are, and a long one is not sent
/// for a correction.
fn read_buckets(reader: &mut Reader<'_>, plan: &Plan, now: Now) -> Option<Vec<State>> {
    let is_log = |kept: &Kept| kept.kind() == Kind::SlidingLog;
    plan.kept
        .iter()
        .map(|kept| match is_log(kept) {
            true => Some(State::Bucket(None)),
            false => read_states(reader, std::slice::from_ref(kept), now)?.pop(),
        })
        .collect()
}

/// The script says how many units of a log it returned or took.
fn of_log(adjustment: &Adjustment, units: u64) -> Adjusted {
    match adjustment.change {
        Change::Refund(_) => Adjusted { returned: units, excess: 0 },
        Change::Add(more) => Adjusted { returned: 0, excess: more.saturating_sub(units) },
    }
}
