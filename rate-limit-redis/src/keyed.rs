//! The keys of one call, each once.

use std::sync::Arc;

use hashbrown::HashTable;
use rate_limit_core::{ClientIdentity, Now, RateLimitPolicy};

use crate::key::{BucketNumber, KeyRing, Owner};
use crate::script::ScriptCall;
use crate::stored::{Kind, Place, Reader, State, read_state};

/// The keys of one call and what is kept under each.
///
/// Requests of one client that travel together share their keys, so the server reads and writes a
/// hot bucket once for all of them.
pub(crate) struct Keys<'a> {
    ring: &'a KeyRing,
    call: ScriptCall,
    numbers: HashTable<u16>,
    kept: Vec<Kept>,
    /// The policies of one rule share an identity, which is then digested once.
    last: Option<(ClientIdentity, Owner)>,
}

/// What is kept under a key.
pub(crate) struct Kept {
    number: BucketNumber,
    kind: Kind,
    policy: Arc<RateLimitPolicy>,
}

impl<'a> Keys<'a> {
    /// No keys yet.
    pub(crate) fn new(ring: &'a KeyRing, call: ScriptCall, expected: usize) -> Self {
        let (numbers, kept) = (HashTable::with_capacity(expected), Vec::with_capacity(expected));
        Self { ring, call, numbers, kept, last: None }
    }

    /// Where the states are for a charge of `identity` under `policy`.
    pub(crate) fn place(
        &mut self,
        identity: &ClientIdentity,
        policy: &Arc<RateLimitPolicy>,
        kind: Kind,
        ladder: Ladder,
    ) -> Place {
        let (of, owner) = match self.last.take() {
            Some((of, owner)) if of == *identity => (of, owner),
            _ => (identity.clone(), self.ring.owner(identity)),
        };
        let number = owner.bucket_number(policy);
        let bucket = self.position(number, kind, policy, |key| owner.write_bucket(policy, key));
        let ladder = (ladder == Ladder::Asked).then(|| {
            self.position(number.of_ladder(), Kind::Ladder, policy, |key| {
                owner.write_ladder(policy, key);
            })
        });
        self.last = Some((of, owner));
        Place { bucket, ladder }
    }

    fn position(
        &mut self,
        number: BucketNumber,
        kind: Kind,
        policy: &Arc<RateLimitPolicy>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> u16 {
        let kept = &self.kept;
        let is_same =
            |index: &u16| kept.get(usize::from(*index)).is_some_and(|it| it.number == number);
        if let Some(index) = self.numbers.find(number.hash(), is_same) {
            return *index;
        }
        // A call carries far fewer keys than 65,536; see `MAX_CHARGES`.
        let index = u16::try_from(kept.len()).unwrap_or(u16::MAX);
        let hash_of = |index: &u16| kept.get(usize::from(*index)).map_or(0, |it| it.number.hash());
        self.numbers.insert_unique(number.hash(), index, hash_of);
        self.call.key(write);
        self.kept.push(Kept { number, kind, policy: policy.clone() });
        index
    }

    /// The call so far, to which the arguments are added, and what its keys hold.
    pub(crate) fn finish(self) -> (ScriptCall, Vec<Kept>) {
        (self.call, self.kept)
    }
}

impl Kept {
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }
}

/// Whether a charge asks for its owner's place on the penalty ladder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ladder {
    Asked,
    Ignored,
}

impl Ladder {
    /// A policy in shadow has no ladder.
    pub(crate) fn of(policy: &RateLimitPolicy) -> Self {
        if policy.striking_penalty().is_some() { Self::Asked } else { Self::Ignored }
    }
}

/// Reads the states under all keys of a call. `None` if the answer is none.
pub(crate) fn read_states(reader: &mut Reader<'_>, kept: &[Kept], now: Now) -> Option<Vec<State>> {
    kept.iter().map(|kept| read_state(reader, kept.kind, &kept.policy, now)).collect()
}
