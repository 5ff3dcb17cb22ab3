//! From an identity and a policy to the key of a row.
//!
//! A key has 128 bits: the digest of the owner under the secret of the file, its lower half combined
//! with a digest of the policy. Whoever has the file learns from a key nothing about its owner
//! without trying every identity there could be, and the secret lies in the same file, so a file is
//! a secret too if the identities are.
//!
//! The upper half is that of the owner alone, so all that is kept of one identity lies side by side,
//! nearly always in one page. A request under several policies then changes one page.

use std::fmt;

use rate_limit_core::{ClientIdentity, RateLimitPolicy};
use siphasher::sip128::SipHasher24;

/// 128 bits that stand for one row, in the order of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key([u8; 16]);

/// The rows of one charge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: Key,
    /// The client's place on the penalty ladder, if the policy has one.
    pub(crate) ladder: Option<Key>,
}

/// Makes keys under the secret of one file.
#[derive(Clone, Copy)]
pub(crate) struct KeyRing {
    hasher: SipHasher24,
}

/// The digest of an identity.
///
/// It is uniformly distributed under the secret, so two identities share a key with probability
/// 2^-128, whatever the policies are called; two policies of one identity share one with probability
/// 2^-64, and their names come from the operator.
#[derive(Clone, Copy)]
pub(crate) struct Owner(u128);

impl KeyRing {
    /// Bytes of a secret.
    pub(crate) const SECRET_BYTES: usize = 16;

    pub(crate) fn new(secret: &[u8; Self::SECRET_BYTES]) -> Self {
        Self { hasher: SipHasher24::new_with_key(secret) }
    }

    /// The owner of rows.
    pub(crate) fn owner(&self, identity: &ClientIdentity) -> Owner {
        Owner(self.hasher.hash(identity.as_bytes()).as_u128())
    }

    /// The rows of `owner` under `policy`, as far as they count.
    pub(crate) fn place(&self, owner: Owner, policy: &RateLimitPolicy) -> Place {
        let whole = self.whole_place(owner, policy);
        Place { ladder: whole.ladder.filter(|_| policy.striking_penalty().is_some()), ..whole }
    }

    /// All rows of `owner` under `policy`: also the place on a ladder that does not count while the
    /// policy is in shadow mode.
    pub(crate) fn whole_place(&self, owner: Owner, policy: &RateLimitPolicy) -> Place {
        // The name contains the format, so a state of another meaning is another row.
        let bits = self.hasher.hash(policy.bucket_name().as_bytes()).as_u128();
        let (bucket, ladder) = (bits & LOWER_HALF, bits >> 64);
        let key = |bits: u128| Key((owner.0 ^ bits).to_be_bytes());
        let has_ladder = policy.penalty().is_some();
        Place { bucket: key(bucket), ladder: has_ladder.then(|| key(ladder)) }
    }
}

const LOWER_HALF: u128 = u64::MAX as u128;

impl Key {
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number by which operators know the row.
    pub(crate) const fn id(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl From<[u8; 16]> for Key {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(..)")
    }
}

#[cfg(test)]
mod tests {
    use rate_limit_core::PenaltyLadder;

    use super::*;

    fn policies() -> [RateLimitPolicy; 3] {
        let ladder = PenaltyLadder::after(3, std::time::Duration::from_secs(60));
        [
            RateLimitPolicy::per_minute(1).named("one"),
            RateLimitPolicy::per_minute(1).named("two").penalty(ladder),
            RateLimitPolicy::per_minute(1).named("one").fixed_window(),
        ]
        .map(|builder| builder.build().unwrap())
    }

    fn keys(ring: &KeyRing, name: &str) -> Vec<u128> {
        let owner = ring.owner(&ClientIdentity::user(name).unwrap());
        let places = policies().map(|policy| ring.place(owner, &policy));
        let rows = places.iter().flat_map(|place| [Some(place.bucket), place.ladder]);
        rows.flatten().map(Key::id).collect()
    }

    /// Files outlive programs, so the same identity has to have the same key for ever.
    #[test]
    fn a_key_is_the_same_in_every_program() {
        let ring = KeyRing::new(b"sixteen bytes ok");
        let keys = keys(&ring, "somebody");
        assert_eq!(keys[0], 0xd991_a357_e315_5d8a_467e_dcf1_3275_0e3c, "{:#x}", keys[0]);
    }

    #[test]
    fn what_belongs_to_one_owner_lies_side_by_side_under_different_keys() {
        let ring = KeyRing::new(&[7; 16]);
        let keys = keys(&ring, "somebody");
        assert_eq!(keys.len(), 4, "three buckets and a place on a ladder");
        assert!(keys.windows(2).all(|two| two[0] >> 64 == two[1] >> 64), "{keys:x?}");
        let mut different = keys.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 4);
    }

    #[test]
    fn owners_and_files_have_nothing_in_common() {
        let (one, other) = (KeyRing::new(&[7; 16]), KeyRing::new(&[8; 16]));
        assert_ne!(keys(&one, "a")[0] >> 64, keys(&one, "b")[0] >> 64);
        assert_ne!(keys(&one, "a")[0], keys(&other, "a")[0]);
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", KeyRing::new(&[7; 16])), "KeyRing(..)");
    }
}
