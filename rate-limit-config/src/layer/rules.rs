//! From the settings of a rule to a rule of the layer.

use std::collections::BTreeSet;

use rate_limit_tower::{MissingIdentity, Rule};

use super::limits::Limits;
use super::{cost, keys};
use crate::configuration::{
    CountedResponses, IdentitySettings, OnMissing, PathMatch, RuleSettings,
};
use crate::secret::Secret;

/// The rule that `settings` describe.
pub(super) fn rule(
    settings: &RuleSettings,
    identity: &IdentitySettings,
    tiers: &BTreeSet<String>,
    secret: Option<&Secret>,
) -> Rule {
    let mut rule = Rule::new(&settings.name)
        .group(&settings.group)
        .key(keys::key(settings, identity))
        .preflight(settings.preflight)
        .on_missing_identity(match settings.on_missing {
            OnMissing::Anonymous | OnMissing::Ip => MissingIdentity::ShareAnonymous,
            OnMissing::Reject => MissingIdentity::Reject,
            OnMissing::Skip => MissingIdentity::Skip,
        });
    if !settings.methods.is_empty() {
        rule = rule.methods(settings.methods.iter().cloned());
    }
    for path in &settings.paths {
        rule = match path {
            PathMatch::Pattern(pattern) => rule.path(pattern),
            PathMatch::Prefix(prefix) => rule.path_prefix(prefix),
        };
    }
    rule = settings.hosts.iter().fold(rule, Rule::host);
    rule = settings.limits.iter().cloned().fold(rule, Rule::policy);
    if let Some(limits) = Limits::new(settings, identity, tiers, secret) {
        rule = rule.policies_for(move |client, request| limits.of(client, request));
    }
    rule = cost::cost(rule, &settings.cost);
    rule = match settings.count {
        CountedResponses::All => rule,
        CountedResponses::Failures => rule.count_only(|response| !response.is_success()),
    };
    if let Some(exposure) = settings.expose {
        rule = rule.exposure(exposure);
    }
    if let Some(url) = &settings.documentation_url {
        rule = rule.documentation_url(url.as_str());
    }
    rule
}
