//! Which rules apply to a request, whose buckets they charge, and how much.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rate_limit_core::{Access, Charge, Charges, ClientIdentity, IpPrefixes, RateLimitPolicy};
use smallvec::SmallVec;

use crate::headers::PolicyList;
use crate::key::{IdentityLookup, Key};
use crate::rejection::Form;
use crate::request_view::{RequestHead, RequestView};
use crate::rule::{Asks, Cost, MissingIdentity, RequestPredicate};
use crate::telemetry::Trail;

mod access;
mod build;
mod group;
mod named;
mod paths;
mod pattern;

pub(crate) use build::build;
use group::Group;
pub(crate) use group::shapes;
pub(crate) use named::Dimension;

/// The rules of a layer.
pub(crate) struct Rules {
    rules: Box<[ReadyRule]>,
    groups: Box<[Group]>,
    ip_prefixes: IpPrefixes,
    exempts: Box<[Box<RequestPredicate>]>,
    blocks: Box<[Box<RequestPredicate>]>,
    /// Whom the lists let through, whatever blocks them.
    pub(crate) exempt_identities: Box<[ClientIdentity]>,
    /// What all groups say together, where each has but one rule.
    together: Option<PolicyList>,
    /// Whether any rule asks somebody else who is asking.
    have_lookups: bool,
    /// Whether any rule says how much may be told.
    pub(crate) have_exposures: bool,
}

/// A rule that is ready for requests.
pub(crate) struct ReadyRule {
    pub(crate) name: Arc<str>,
    pub(crate) asks: Asks,
    key: Key,
    pub(crate) policies: Box<[Arc<RateLimitPolicy>]>,
    lookups: Box<[Arc<dyn IdentityLookup>]>,
    /// The policies never change, so the field that lists them is rendered once.
    list: Option<PolicyList>,
    /// For each policy, what the documents of its denials say.
    forms: Box<[OnceLock<Form>]>,
}

/// The rules that apply to one request, at most one of each group, by their places.
pub(crate) type Matched = SmallVec<[usize; 4]>;

/// What was found out for each rule that applies, in their order; for each of its look-ups, in
/// theirs. Nothing where there are no look-ups.
pub(crate) type Found = Vec<Vec<Option<ClientIdentity>>>;

/// What a request is to be charged, if it is to be charged at all. Made in place, because it is a
/// large value to move.
pub(crate) struct Plan {
    pub(crate) access: Access,
    pub(crate) charges: Charges,
    /// What may have to be given back at the response.
    pub(crate) provisional: Vec<Provisional>,
    /// Which rule has charged what.
    pub(crate) trail: Trail,
    /// Whether a key is absent of which a rule demands that it is not.
    pub(crate) lacks_identity: bool,
}

/// A charge that stands only if the response is one that counts.
pub(crate) struct Provisional {
    pub(crate) rule: usize,
    pub(crate) identity: ClientIdentity,
    pub(crate) policy: Arc<RateLimitPolicy>,
    pub(crate) units: u64,
}

impl Default for Plan {
    /// Nothing.
    fn default() -> Self {
        Self {
            access: Access::Limit,
            charges: Charges::new(),
            provisional: Vec::new(),
            trail: Trail::default(),
            lacks_identity: false,
        }
    }
}

impl Rules {
    /// The rules that apply to a request.
    #[inline]
    pub(crate) fn matching(&self, request: &RequestView<'_>) -> Matched {
        let mut matched = Matched::new();
        for group in &self.groups {
            if let Some(rule) = group.matching(request) {
                matched.push(rule);
            }
        }
        if let Some(with_dots) = request.with_dot_segments() {
            self.add_matching(&with_dots, &mut matched);
        }
        matched
    }

    /// Adds the rules that apply to what a router may see. Nobody knows which of both forms of a path
    /// decides which handler is reached.
    #[cold]
    fn add_matching(&self, request: &RequestView<'_>, matched: &mut Matched) {
        for rule in self.groups.iter().filter_map(|group| group.matching(request)) {
            if !matched.contains(&rule) {
                matched.push(rule);
            }
        }
    }

    /// The rule at a place.
    pub(crate) fn get(&self, place: usize) -> Option<&ReadyRule> {
        self.rules.get(place)
    }

    /// Whether somebody else has to be asked who is asking.
    #[inline]
    pub(crate) fn need_lookups(&self, matched: &Matched) -> bool {
        self.have_lookups && self.applying(matched).any(|(_, rule)| !rule.lookups.is_empty())
    }

    /// Asks them, one after the other.
    pub(crate) async fn look_up(&self, matched: &Matched, head: &RequestHead) -> Found {
        let mut found = Vec::with_capacity(matched.len());
        for (_, rule) in self.applying(matched) {
            let mut answers = Vec::with_capacity(rule.lookups.len());
            let is_skipped = rule.asks.skips(&head.view());
            for lookup in rule.lookups.iter().filter(|_| !is_skipped) {
                // Whatever went wrong, nobody knows who is asking.
                answers.push(lookup.identify(head.clone()).await.ok().flatten());
            }
            found.push(answers);
        }
        found
    }

    /// Adds to a plan what a request is to be charged under the rules that apply.
    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    pub(crate) fn plan(
        &self,
        matched: &Matched,
        request: &RequestView<'_>,
        found: &Found,
        plan: &mut Plan,
    ) {
        plan.access = self.access(request);
        if plan.access == Access::Exempt {
            return;
        }
        for (index, (place, rule)) in self.applying(matched).enumerate() {
            let found = found.get(index).map_or(&[][..], Vec::as_slice);
            rule.charge(place, request, self, found, None, plan);
        }
    }

    /// The policies of all rules, as far as they are known before any request.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &RateLimitPolicy> {
        self.rules.iter().flat_map(|rule| &rule.policies).map(|policy| &**policy)
    }

    /// The list of policies that was rendered beforehand for requests under these rules.
    pub(crate) fn list(&self, matched: &Matched) -> Option<&PolicyList> {
        match matched.as_slice() {
            [place] => self.get(*place)?.list.as_ref(),
            _ => self.together.as_ref(),
        }
    }

    /// The place of what documents of a policy's denials say, for requests under these rules.
    pub(crate) fn form(
        &self,
        matched: &Matched,
        policy: &Arc<RateLimitPolicy>,
    ) -> Option<&OnceLock<Form>> {
        // What a document says besides may come from each rule that applies.
        let [place] = matched.as_slice() else { return None };
        let rule = self.get(*place)?;
        let mut forms = rule.policies.iter().zip(&rule.forms);
        forms.find_map(|(one, form)| Arc::ptr_eq(one, policy).then_some(form))
    }

    /// Whether any bucket belongs to an address.
    pub(crate) fn need_addresses(&self) -> bool {
        self.rules.iter().any(|rule| rule.key.needs_address())
    }

    pub(crate) fn applying(&self, matched: &Matched) -> impl Iterator<Item = (usize, &ReadyRule)> {
        matched.iter().filter_map(|place| Some((*place, self.get(*place)?)))
    }
}

impl ReadyRule {
    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    fn charge(
        &self,
        place: usize,
        request: &RequestView<'_>,
        rules: &Rules,
        found: &[Option<ClientIdentity>],
        units: Option<u64>,
        plan: &mut Plan,
    ) {
        if self.asks.skips(request) {
            return;
        }
        let is_blocked = self.asks.turns_away(request);
        if is_blocked {
            plan.access = plan.access.and(Access::Block);
            if rules.exempt_identities.is_empty() {
                return;
            }
        }
        let identity =
            match self.key.identify(request, rules.ip_prefixes, &mut found.iter().cloned()) {
                Some(identity) => identity,
                None => match self.asks.missing_identity {
                    MissingIdentity::ShareAnonymous => ClientIdentity::ANONYMOUS,
                    MissingIdentity::Reject => return plan.lacks_identity = true,
                    MissingIdentity::Skip => return,
                },
            };
        if is_blocked {
            // Nothing will be charged, so nobody else would find out that this one is exempt.
            if rules.exempt_identities.iter().any(|exempt| identity.contains(exempt)) {
                plan.access = Access::Exempt;
            }
            return;
        }
        let units = units.unwrap_or_else(|| match &self.asks.cost {
            Cost::Units(units) => *units,
            Cost::From(cost) => {
                let units = cost(request);
                // The dearer form of the path, because the other would be the client's choice.
                request.with_dot_segments().map_or(units, |it| units.max(cost(&it)))
            }
        });
        match self.asks.policies.as_ref().and_then(|choose| choose(&identity, request)) {
            Some(chosen) => self.charge_each(place, identity, chosen.as_slice(), units, plan),
            None => self.charge_each(place, identity, &self.policies, units, plan),
        }
    }

    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    fn charge_each(
        &self,
        rule: usize,
        identity: ClientIdentity,
        policies: &[Arc<RateLimitPolicy>],
        units: u64,
        plan: &mut Plan,
    ) {
        let Some((last, others)) = policies.split_last() else {
            return;
        };
        for policy in others {
            self.charge_one(rule, identity.clone(), policy, units, plan);
        }
        self.charge_one(rule, identity, last, units, plan);
    }

    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    fn charge_one(
        &self,
        rule: usize,
        identity: ClientIdentity,
        policy: &Arc<RateLimitPolicy>,
        units: u64,
        plan: &mut Plan,
    ) {
        if self.asks.counts.is_some() {
            let (identity, policy) = (identity.clone(), policy.clone());
            plan.provisional.push(Provisional { rule, identity, policy, units });
        }
        plan.charges.push(Charge::new(identity, policy.clone(), units));
        plan.trail.charged(rule, &plan.charges);
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|rule| (&rule.name, &rule.policies))).finish()
    }
}
