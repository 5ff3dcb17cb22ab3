//! What one request asks of the store: charges.

use std::sync::Arc;

use crate::identity::ClientIdentity;
use crate::inline::InlineVec;
use crate::policy::RateLimitPolicy;

/// Units that one request takes from one bucket: whose, under which policy, how many.
#[derive(Clone, Debug)]
pub struct Charge {
    identity: ClientIdentity,
    policy: Arc<RateLimitPolicy>,
    units: u64,
}

impl Charge {
    /// A charge of `units`; zero asks without taking.
    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    pub fn new(identity: ClientIdentity, policy: Arc<RateLimitPolicy>, units: u64) -> Self {
        Self { identity, policy, units }
    }

    /// Whose bucket.
    pub const fn identity(&self) -> &ClientIdentity {
        &self.identity
    }

    /// Under which policy.
    pub const fn policy(&self) -> &Arc<RateLimitPolicy> {
        &self.policy
    }

    /// How many units.
    pub const fn units(&self) -> u64 {
        self.units
    }

    /// The same charge under another version of its policy.
    pub(crate) fn under(&self, policy: Arc<RateLimitPolicy>) -> Self {
        Self { identity: self.identity.clone(), policy, units: self.units }
    }

    pub(crate) fn into_parts(self) -> (ClientIdentity, Arc<RateLimitPolicy>) {
        (self.identity, self.policy)
    }

    fn is_same_bucket(&self, other: &Self) -> bool {
        // Names first: they differ more often and are compared faster.
        (Arc::ptr_eq(&self.policy, &other.policy)
            || self.policy.bucket_name() == other.policy.bucket_name())
            && self.identity == other.identity
    }
}

/// All charges of one request, each on a bucket of its own.
///
/// Charges on the same bucket are summed when they are added, so no store has to look for them.
/// Up to four charges need no allocation.
///
/// # Example: two charges on one bucket are one charge
///
/// ```
/// use std::sync::Arc;
/// use rate_limit_core::{Charge, Charges, ClientIdentity, RateLimitPolicy};
///
/// let api = Arc::new(RateLimitPolicy::per_minute(100).named("api").build()?);
/// let mut charges = Charges::new();
/// charges.push(Charge::new(ClientIdentity::GLOBAL, api.clone(), 2));
/// charges.push(Charge::new(ClientIdentity::GLOBAL, api, 3));
/// assert_eq!(charges.iter().map(Charge::units).collect::<Vec<_>>(), [5]);
/// # Ok::<(), rate_limit_core::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Charges(pub(crate) InlineVec<Charge>);

impl Charges {
    /// No charges.
    pub const fn new() -> Self {
        Self(InlineVec::new())
    }

    /// The single charge of a request, made without a list.
    #[inline]
    pub const fn one(charge: Charge) -> Self {
        Self(InlineVec::one(charge))
    }

    /// Adds a charge, or adds its units to the charge on the same bucket.
    ///
    /// If two versions of one policy meet, the enforced one decides, and among equals the one that
    /// came first. Sums saturate.
    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    pub fn push(&mut self, charge: Charge) {
        if self.is_empty() {
            self.0.push(charge);
        } else {
            self.push_another(charge);
        }
    }

    fn push_another(&mut self, charge: Charge) {
        let Some(same) = self.0.iter_mut().find(|other| other.is_same_bucket(&charge)) else {
            return self.0.push(charge);
        };
        same.units = same.units.saturating_add(charge.units);
        if charge.policy.is_enforced() && !same.policy.is_enforced() {
            same.policy = charge.policy;
        }
    }

    /// How many buckets are charged.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is charged.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The charge of a request that makes just one, which is nearly every request.
    ///
    /// A list that was made longer and holds a single charge may answer `None`: this is a short
    /// cut, and whoever takes it has a way for all lists as well.
    #[inline]
    pub const fn single(&self) -> Option<&Charge> {
        self.0.only()
    }

    /// The charges if there are exactly `N`, and at least one, in the order in which their buckets
    /// were first named: for stores that decide over a few charges without a list.
    ///
    /// # Example: a pair
    ///
    /// ```
    /// use std::sync::Arc;
    /// use rate_limit_core::{Charge, Charges, ClientIdentity, RateLimitPolicy};
    ///
    /// let policy = |name: &str| RateLimitPolicy::per_minute(100).named(name).build().map(Arc::new);
    /// let charge = |policy| Charge::new(ClientIdentity::GLOBAL, policy, 1);
    /// let charges: Charges = [policy("a")?, policy("b")?].map(charge).into_iter().collect();
    /// let [a, b] = charges.exactly().ok_or("there are two")?;
    /// assert_eq!((a.policy().name().as_str(), b.policy().name().as_str()), ("a", "b"));
    /// assert!(charges.exactly::<3>().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn exactly<const N: usize>(&self) -> Option<[&Charge; N]> {
        self.0.exactly()
    }

    /// The charge at `index`, in the order in which their buckets were first named.
    pub fn get(&self, index: usize) -> Option<&Charge> {
        self.0.get(index)
    }

    /// The charges, in the order in which their buckets were first named.
    pub fn iter(&self) -> impl Iterator<Item = &Charge> {
        self.0.iter()
    }
}

impl Default for Charges {
    fn default() -> Self {
        Self::new()
    }
}

impl Extend<Charge> for Charges {
    fn extend<I: IntoIterator<Item = Charge>>(&mut self, charges: I) {
        charges.into_iter().for_each(|charge| self.push(charge));
    }
}

impl FromIterator<Charge> for Charges {
    fn from_iter<I: IntoIterator<Item = Charge>>(charges: I) -> Self {
        let mut all = Self::new();
        all.extend(charges);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enforced_version_is_not_weakened_by_a_shadow_of_itself() {
        let shadow = Arc::new(RateLimitPolicy::per_second(5).shadow().build().unwrap());
        let enforced = Arc::new(RateLimitPolicy::per_second(3).build().unwrap());
        for order in [[&shadow, &enforced], [&enforced, &shadow]] {
            let charges: Charges = order
                .into_iter()
                .map(|policy| Charge::new(ClientIdentity::GLOBAL, policy.clone(), 1))
                .collect();
            assert_eq!(charges.len(), 1);
            assert_eq!(charges.get(0).unwrap().policy(), &enforced);
            assert_eq!(charges.get(0).unwrap().units(), 2);
        }
    }

    #[test]
    fn sums_saturate() {
        let policy = Arc::new(RateLimitPolicy::per_second(5).build().unwrap());
        let charge = Charge::new(ClientIdentity::GLOBAL, policy, u64::MAX);
        let charges: Charges = [charge.clone(), charge].into_iter().collect();
        assert_eq!(charges.get(0).unwrap().units(), u64::MAX);
    }
}
