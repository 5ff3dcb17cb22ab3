//! For which identities a rule is enforced that is enforced for a share of them.

use std::hash::Hasher;

use rate_limit_core::ClientIdentity;
use siphasher::sip::SipHasher13;

/// A share of all identities, always the same ones.
///
/// Every identity has a place from 0 to 99 under each rule, and is part of the share if its place is
/// below the percentage. So it stays part of it when the percentage grows, in every process, after
/// every restart. Under another rule it has another place, or the same clients would try out every
/// limit.
#[derive(Clone)]
pub(crate) struct EnforcedShare {
    /// Has taken in the rule's name.
    hasher: SipHasher13,
    percent: u64,
}

impl EnforcedShare {
    /// The share of `percent` under `rule`. With a `secret`, nobody else can tell who is part of it;
    /// without, it is a matter of arithmetic.
    pub(crate) fn new(percent: u8, rule: &str, secret: Option<&[u8]>) -> Self {
        let mut hasher = SipHasher13::new_with_key(&key(secret.unwrap_or_default()));
        hasher.write(rule.as_bytes());
        // No name contains this byte, so that none runs into the identity.
        hasher.write_u8(0xff);
        Self { hasher, percent: u64::from(percent) }
    }

    /// Whether the rule is enforced for `identity`.
    pub(crate) fn includes(&self, identity: &ClientIdentity) -> bool {
        let mut hasher = self.hasher;
        hasher.write(identity.as_bytes());
        // The remainder favours no place by more than one in 10^17.
        hasher.finish() % 100 < self.percent
    }
}

/// As many bytes as the hash wants, from a secret of any length.
fn key(secret: &[u8]) -> [u8; 16] {
    let half = |half: u8| {
        let mut hasher = SipHasher13::new();
        hasher.write_u8(half);
        hasher.write(secret);
        hasher.finish().to_le_bytes()
    };
    let mut key = [0; 16];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&half(0));
    second.copy_from_slice(&half(1));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn included(percent: u8, rule: &str, secret: Option<&[u8]>) -> Vec<u32> {
        let share = EnforcedShare::new(percent, rule, secret);
        let is_in = |n: &u32| share.includes(&ClientIdentity::user(n.to_string()).unwrap());
        (0..20_000).filter(is_in).collect()
    }

    #[test]
    fn whoever_is_in_stays_in_when_the_share_grows() {
        let mut smaller = Vec::new();
        for percent in 0..=100 {
            let larger = included(percent, "api", None);
            assert!(smaller.iter().all(|one| larger.binary_search(one).is_ok()), "{percent}");
            // Five standard deviations of a fair draw are 1.8 percent of 20,000 at most.
            let off = larger.len().abs_diff(200 * usize::from(percent));
            assert!(off <= 360, "{percent} percent are {} of 20,000", larger.len());
            smaller = larger;
        }
        assert_eq!(smaller.len(), 20_000, "a hundred percent are everybody");
    }

    #[test]
    fn rules_and_secrets_choose_independently() {
        let one = included(50, "api", None);
        for other in [included(50, "login", None), included(50, "api", Some(b"secret"))] {
            let both = one.iter().filter(|n| other.binary_search(n).is_ok()).count();
            assert!((4_500..5_500).contains(&both), "{both} of 10,000 are in both");
        }
    }

    /// Other processes, and later releases, have to agree.
    #[test]
    fn the_choice_is_the_same_everywhere() {
        assert_eq!(included(1, "api", None).get(..5).unwrap(), PINNED);
    }

    const PINNED: [u32; 5] = [58, 167, 179, 181, 231];
}
