//! Which limits apply to whom: by tier, and by who is part of the share that a rule is enforced for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rate_limit_core::{ClientIdentity, Mode, RateLimitPolicy};
use rate_limit_tower::{Policies, RequestView};

use crate::configuration::{Enforcement, IdentitySettings, RuleSettings};
use crate::enforced_share::EnforcedShare;
use crate::secret::Secret;
use crate::telemetry::TierCounters;
use crate::verified_client::VerifiedClient;

/// The limits of a rule for every tier.
pub(super) struct Limits {
    /// For whoever is of no tier that has its own.
    own: Variants,
    tiers: HashMap<Box<str>, Variants>,
    /// All tiers that any rule knows.
    known: BTreeSet<String>,
    default_tier: Option<Box<str>>,
    enforced: Option<EnforcedShare>,
    counters: TierCounters,
}

/// The same limits, once as they are and once only watching. Both count in the same buckets.
struct Variants {
    enforced: Policies,
    shadow: Policies,
}

impl Limits {
    /// `None` if the same limits apply to everybody.
    pub(super) fn new(
        settings: &RuleSettings,
        identity: &IdentitySettings,
        tiers: &BTreeSet<String>,
        secret: Option<&Secret>,
    ) -> Option<Self> {
        let enforced = match settings.enforcement {
            Enforcement::Percent(percent) => {
                Some(EnforcedShare::new(percent, &settings.name, secret.map(Secret::expose)))
            }
            Enforcement::Everybody | Enforcement::Nobody => None,
        };
        if settings.tiers.is_empty() && enforced.is_none() {
            return None;
        }
        let of_tier = |(tier, limits): (&String, &Vec<_>)| (tier.as_str().into(), variants(limits));
        Some(Self {
            own: variants(&settings.limits),
            tiers: settings.tiers.iter().map(of_tier).collect(),
            known: tiers.clone(),
            default_tier: identity.default_tier.as_deref().map(Into::into),
            enforced,
            counters: TierCounters::new(),
        })
    }

    /// The limits of a client.
    pub(super) fn of(
        &self,
        client: &ClientIdentity,
        request: &RequestView<'_>,
    ) -> Option<Policies> {
        let limits = self.of_tier(request.extensions().get::<VerifiedClient>());
        let is_enforced = self.enforced.as_ref().is_none_or(|share| share.includes(client));
        Some(if is_enforced { &limits.enforced } else { &limits.shadow }.clone())
    }

    /// The limits of a client's tier. A tier that nobody knows is none, and is counted.
    fn of_tier(&self, client: Option<&VerifiedClient>) -> &Variants {
        let verified = client.and_then(VerifiedClient::tier);
        let known = verified.filter(|tier| self.known.contains(*tier));
        if verified.is_some() && known.is_none() {
            self.counters.unknown();
        }
        let tier = known.or(self.default_tier.as_deref());
        tier.and_then(|tier| self.tiers.get(tier)).unwrap_or(&self.own)
    }
}

fn variants(limits: &[Arc<RateLimitPolicy>]) -> Variants {
    let in_shadow = |policy: &Arc<RateLimitPolicy>| Arc::new(policy.in_mode(Mode::Shadow));
    Variants {
        enforced: limits.iter().cloned().collect(),
        shadow: limits.iter().map(in_shadow).collect(),
    }
}
