//! From a charge to the number under which its bucket is remembered.

use std::hash::{BuildHasher, RandomState};

use rate_limit_core::{Charges, ClientIdentity, RateLimitPolicy};
use siphasher::sip128::SipHasher13;
use smallvec::SmallVec;

/// The numbers of a request's buckets, in the order of its charges.
pub(super) type Buckets = SmallVec<[u128; 4]>;

/// Makes numbers under a secret that is drawn anew in every process, so that nobody outside can aim
/// two buckets at one place.
pub(super) struct Hasher(SipHasher13);

impl Hasher {
    pub(super) fn new() -> Self {
        // `RandomState` is seeded by the operating system; hashing under it draws from that seed.
        let seed = RandomState::new();
        Self(SipHasher13::new_with_keys(seed.hash_one(0_u8), seed.hash_one(1_u8)))
    }

    pub(super) fn buckets(&self, charges: &Charges) -> Buckets {
        charges.iter().map(|charge| self.bucket(charge.identity(), charge.policy())).collect()
    }

    /// The digest of an identity is uniformly distributed, so two buckets share a number with
    /// probability 2^-128, whatever the policies are called.
    pub(super) fn bucket(&self, identity: &ClientIdentity, policy: &RateLimitPolicy) -> u128 {
        self.0.hash(identity.as_bytes()).as_u128() ^ policy.bucket_digest()
    }
}
