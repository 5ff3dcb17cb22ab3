//! From an identity and a policy to the place of a bucket.

use std::hash::{BuildHasher, Hasher};

use rate_limit_core::{ClientIdentity, RateLimitPolicy, TimeAxis};

use crate::group::Tag;
use crate::sip_hash::SipHash13;

/// 128 bits that stand for one bucket.
///
/// Keys are stored instead of identities, so a key of 8 KB costs as much as an address, and a
/// memory dump shows nobody's name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Key {
    /// Tells apart what shares a place. The two lowest bits are not part of the digest: the first
    /// one is [`Tag::axis`], and the second one is set, so that this is not the tag of nobody.
    pub(crate) high: u64,
    /// Picks the place.
    pub(crate) low: u64,
}

impl Key {
    #[inline]
    pub(crate) const fn tag(self) -> Tag {
        Tag(self.high)
    }
}

impl Tag {
    /// The axis on which the bucket's instants lie. It is part of the tag, because whether a bucket
    /// may be forgotten has to be known without knowing its policy.
    pub(crate) const fn axis(self) -> TimeAxis {
        if self.0 & 1 == 0 { TimeAxis::Monotonic } else { TimeAxis::Utc }
    }
}

/// Makes keys. Its secret is drawn anew in every process, so nobody outside can aim two identities
/// at one place.
#[derive(Clone, Copy)]
pub(crate) struct KeyRing {
    hasher: SipHash13,
}

/// Tells the key of a penalty ladder from that of its bucket.
const LADDER: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;

impl KeyRing {
    pub(crate) fn new() -> Self {
        // A model is replayed and has to take the same course each time.
        #[cfg(any(loom, shuttle))]
        let seed = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
        // `RandomState` is seeded by the operating system; hashing under it draws from that seed.
        #[cfg(not(any(loom, shuttle)))]
        let seed = std::hash::RandomState::new();
        let draw = |number: u64| {
            let mut hasher = seed.build_hasher();
            hasher.write_u64(number);
            hasher.finish()
        };
        Self { hasher: SipHash13::new(draw(0), draw(1)) }
    }

    #[allow(clippy::inline_always, reason = "measured: a twentieth of a decision")]
    #[inline(always)]
    pub(crate) fn digest(&self, identity: &ClientIdentity) -> IdentityDigest {
        IdentityDigest(self.hasher.digest(identity.as_bytes()))
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyRing(..)")
    }
}

/// The keyed digest of an identity.
///
/// The key of a bucket is this XOR the digest of the policy. The digest of an identity is uniformly
/// distributed under a secret key, so two buckets share a key with probability 2^-126, whatever the
/// policies are called.
#[derive(Clone, Copy)]
pub(crate) struct IdentityDigest(u128);

impl IdentityDigest {
    /// Picks the shard of the side table. What lies there of one identity lies in one shard.
    #[allow(clippy::cast_possible_truncation, reason = "a shard number needs few of the bits")]
    pub(crate) const fn shard_bits(self) -> usize {
        (self.0 >> 64) as usize
    }

    #[inline]
    pub(crate) fn bucket(self, policy: &RateLimitPolicy) -> Key {
        let mut key = Key::from(self.0 ^ policy.bucket_digest());
        key.high = (key.high & !3) | 2 | u64::from(policy.axis() == TimeAxis::Utc);
        key
    }

    pub(crate) fn ladder(self, policy: &RateLimitPolicy) -> Key {
        Key::from(self.0 ^ policy.bucket_digest() ^ LADDER)
    }
}

impl From<u128> for Key {
    #[allow(clippy::cast_possible_truncation, reason = "each half keeps its 64 bits")]
    fn from(bits: u128) -> Self {
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }
}

impl From<Key> for u128 {
    fn from(key: Key) -> Self {
        Self::from(key.high) << 64 | Self::from(key.low)
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// Uses the bits of a [`Key`] as they are: they are a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prehashed;

/// See [`Prehashed`].
#[derive(Debug, Default)]
pub(crate) struct Taken(u64);

impl BuildHasher for Prehashed {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken::default()
    }
}

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is ever called; folding keeps this correct all the same.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Also of a digest that cancels out against that of the policy, or nearly so.
    #[test]
    fn no_bucket_has_the_tag_of_nobody_and_each_tells_its_axis() {
        let monotonic = RateLimitPolicy::per_minute(1).build().unwrap();
        let utc = RateLimitPolicy::per_minute(1).aligned_window().build().unwrap();
        for (policy, axis) in [(monotonic, TimeAxis::Monotonic), (utc, TimeAxis::Utc)] {
            for high in 0..8_u128 {
                let digest = IdentityDigest(policy.bucket_digest() ^ high << 64);
                let tag = digest.bucket(&policy).tag();
                assert_ne!(tag, Tag::NOBODY);
                assert_eq!(tag.axis(), axis);
            }
        }
    }
}
