//! From an identity and a policy to the keys of a bucket.
//!
//! ```text
//! rl:v1:{Q2Bdlmct0j3DCN_5tmJaYQ}:fw60s/login       a bucket
//! rl:v1:{Q2Bdlmct0j3DCN_5tmJaYQ}:pl/fw60s/login    its owner's place on the penalty ladder
//! └prefix┘└─────── owner ──────┘ └format┘└policy┘
//! ```
//!
//! The owner is the hash tag: all that is kept of one identity lies in one slot of a cluster, so
//! a decision over all its policies is one atomic step there. Nothing that a client sends reaches a
//! key as it is, so nobody can add a brace and move a slot.
//!
//! By default the owner is a digest: SipHash-2-4 of the identity's encoding, 128 bits under a key of
//! 128 bits, in base64url. That is 22 characters instead of the 32 of hexadecimal digits, which for
//! most policies makes the key fit the next smaller size class of the server's allocator.
//!
//! The format comes from the algorithm, with the length of a window in its largest whole unit. It
//! contains no `/` and is never `pl`, so the two kinds of keys never meet, whatever a policy is
//! called.
//!
//! What operators keep lies under `rl:v1:document/` and its name. No prefix makes a bucket look like
//! that, because a brace follows every `v1:` there.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rate_limit_core::{ClientIdentity, DocumentName, RateLimitPolicy};
use siphasher::sip128::SipHasher24;
use smallvec::SmallVec;
use thiserror::Error;

use crate::link::Slot;

mod readable;

#[cfg(test)]
mod tests;

/// How keys show whose bucket it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IdentityForm {
    /// A digest under the store's secret. Nobody learns from Redis who the clients are.
    #[default]
    Digest,
    /// The identity itself, percent-encoded, for those who want to look with `redis-cli`. Whoever
    /// can read Redis can read names and addresses. Identities that would take more than 128
    /// characters appear as digests all the same.
    Readable,
}

/// What decides on which node of a cluster a key lies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Placement {
    /// Its owner: everything of one identity lies in one slot, and identities are spread over all
    /// nodes. A request that charges several identities is taken slot by slot.
    #[default]
    ByOwner,
    /// Nothing: all keys of the store lie in one slot, so every request is one atomic step, and one
    /// node serves them all.
    OneSlot,
}

/// Why keys cannot be made as asked.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeyError {
    /// The prefix contains a character that is not accepted, is empty or too long.
    #[error(
        "the key prefix `{prefix}` is not accepted; expected 1 to 64 of the characters \
         A-Z a-z 0-9 . _ - :"
    )]
    Prefix {
        /// The refused prefix.
        prefix: String,
    },
    /// The secret is too short. The error does not carry it.
    #[error("the key secret has {length} bytes; expected at least {min}")]
    ShortSecret {
        /// Its length in bytes.
        length: usize,
        /// The shortest accepted one.
        min: usize,
    },
}

/// Makes keys.
#[derive(Clone)]
pub(crate) struct KeyRing {
    /// `rl:v1:{`
    head: Box<[u8]>,
    hasher: SipHasher24,
    form: IdentityForm,
    placement: Placement,
}

/// The hash tag of all keys if they lie in one slot.
const ALL: &[u8] = b"all";

/// Digests are made under this key if no secret is configured: good enough to tell owners apart,
/// but whoever can guess an identity can check the guess.
const PUBLIC_KEY: [u8; 16] = *b"rate-limit-redis";

impl KeyRing {
    /// The prefix of a store that was not given one.
    pub(crate) const DEFAULT_PREFIX: &str = "rl";

    /// The shortest accepted secret, in bytes.
    pub(crate) const MIN_SECRET_BYTES: usize = 16;

    /// Keys under `prefix`; without a secret, owners are told apart by a digest under a public key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the prefix or the secret is not accepted.
    pub(crate) fn new(
        prefix: &str,
        secret: Option<&[u8]>,
        form: IdentityForm,
    ) -> Result<Self, KeyError> {
        let accepted = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
        if !(1..=64).contains(&prefix.len()) || !prefix.bytes().all(accepted) {
            return Err(KeyError::Prefix { prefix: prefix.to_owned() });
        }
        let key = match secret {
            None => PUBLIC_KEY,
            Some(secret) if secret.len() < Self::MIN_SECRET_BYTES => {
                let (length, min) = (secret.len(), Self::MIN_SECRET_BYTES);
                return Err(KeyError::ShortSecret { length, min });
            }
            // A secret of any length becomes a key of 128 bits.
            Some(secret) => SipHasher24::new_with_key(&PUBLIC_KEY).hash(secret).as_bytes(),
        };
        let head = format!("{prefix}:v1:{{").into_bytes().into();
        let placement = Placement::default();
        Ok(Self { head, hasher: SipHasher24::new_with_key(&key), form, placement })
    }

    /// The same keys, placed as asked.
    pub(crate) fn placed(self, placement: Placement) -> Self {
        Self { placement, ..self }
    }

    /// The owner of buckets.
    pub(crate) fn owner(&self, identity: &ClientIdentity) -> Owner {
        let digest = self.hasher.hash(identity.as_bytes()).as_u128();
        let mut head = SmallVec::from_slice(&self.head);
        let tag_start = head.len();
        if self.placement == Placement::OneSlot {
            head.extend_from_slice(ALL);
            head.extend_from_slice(b"}:");
        }
        let readable = match self.form {
            IdentityForm::Digest => None,
            IdentityForm::Readable => readable::percent_encoded(identity),
        };
        match readable {
            Some(text) => head.extend_from_slice(text.as_bytes()),
            None => {
                let mut text = [0; 22];
                // 16 bytes always become 22 characters.
                _ = URL_SAFE_NO_PAD.encode_slice(digest.to_be_bytes(), &mut text);
                head.extend_from_slice(&text);
            }
        }
        let tag_end = match self.placement {
            Placement::ByOwner => head.len(),
            Placement::OneSlot => tag_start + ALL.len(),
        };
        head.extend_from_slice(match self.placement {
            Placement::ByOwner => b"}:",
            Placement::OneSlot => b":",
        });
        Owner { digest, tag_end, tag_start, head }
    }

    /// The key of a document.
    pub(crate) fn document(&self, name: &DocumentName) -> Vec<u8> {
        // Without the brace that opens an owner.
        let before_owner = self.head.split_last().map_or(&[][..], |(_, before)| before);
        [before_owner, b"document/", name.as_str().as_bytes()].concat()
    }

    /// What the keys of all buckets of this store begin with, for a scan.
    pub(crate) fn pattern(&self) -> Vec<u8> {
        [&*self.head, b"*"].concat()
    }

    /// Whether `key` is that of a bucket, and not of a place on a ladder.
    pub(crate) fn is_bucket(key: &[u8]) -> bool {
        // Nobody else writes a `/` after `pl`: not the formats, not the names of policies, and in
        // readable owners it is encoded.
        !key.windows(4).any(|part| part == b":pl/")
    }

    /// The hash tag of a key of this store.
    pub(crate) fn tag_of<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        let rest = key.get(self.head.len()..)?;
        rest.split(|byte| *byte == b'}').next()
    }

    /// Names the bucket under `key` without naming its owner.
    pub(crate) fn bucket_id(&self, key: &[u8]) -> u128 {
        self.hasher.hash(key).as_u128()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("form", &self.form).finish_non_exhaustive()
    }
}

/// Whose buckets: the part of a key before the policy.
#[derive(Clone)]
pub(crate) struct Owner {
    digest: u128,
    head: SmallVec<[u8; 48]>,
    tag_start: usize,
    tag_end: usize,
}

/// Tells buckets apart within this process.
///
/// The digest of the owner is uniformly distributed, so two buckets share a number with
/// probability 2^-128, whatever the policies are called.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct BucketNumber(u128);

impl BucketNumber {
    /// Tells the owner's place on the penalty ladder from the bucket.
    pub(crate) const fn of_ladder(self) -> Self {
        Self(self.0 ^ 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)
    }

    /// The number is a digest already; half of it is hash enough for a table of a few hundred.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub(crate) const fn hash(self) -> u64 {
        self.0 as u64
    }
}

impl Owner {
    /// The slot of a cluster in which everything of this owner lies.
    pub(crate) fn slot(&self) -> Slot {
        Slot::of_tag(self.head.get(self.tag_start..self.tag_end).unwrap_or_default())
    }

    /// Tells this owner's bucket under `policy` from all others.
    pub(crate) const fn bucket_number(&self, policy: &RateLimitPolicy) -> BucketNumber {
        BucketNumber(self.digest ^ policy.bucket_digest())
    }

    /// Writes the key of the bucket under `policy`.
    pub(crate) fn write_bucket(&self, policy: &RateLimitPolicy, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.head);
        write_bucket_name(policy.bucket_name(), key);
    }

    /// Writes the key of the place on the penalty ladder of `policy`.
    pub(crate) fn write_ladder(&self, policy: &RateLimitPolicy, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.head);
        key.extend_from_slice(LADDER);
        write_bucket_name(policy.bucket_name(), key);
    }
}

/// Set apart from every format, none of which is `pl`.
const LADDER: &[u8] = b"pl/";

/// Writes `fw60000000000/login` as `fw60s/login`: shorter to send, to keep and to read.
fn write_bucket_name(name: &str, key: &mut Vec<u8>) {
    let (format, policy) = name.split_once('/').unwrap_or((name, ""));
    let code = format.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let nanos = format.get(code.len()..).unwrap_or_default();
    key.extend_from_slice(code.as_bytes());
    let whole = |zeros: &str| nanos.strip_suffix(zeros).filter(|number| !number.is_empty());
    let (number, unit) = match nanos {
        "" => ("", ""),
        _ => [("000000000", "s"), ("000000", "ms"), ("000", "us")]
            .into_iter()
            .find_map(|(zeros, unit)| Some((whole(zeros)?, unit)))
            .unwrap_or((nanos, "ns")),
    };
    key.extend_from_slice(number.as_bytes());
    key.extend_from_slice(unit.as_bytes());
    key.push(b'/');
    key.extend_from_slice(policy.as_bytes());
}
