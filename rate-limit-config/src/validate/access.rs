//! The sections `exempt` and `block`.

use super::given;
use super::identity::is_everybody;
use crate::configuration::{AccessEntry, IdentitySettings};
use crate::document::AccessSection;
use crate::problem::Flaw;
use crate::read::{Key, Located, OneOrMany};
use crate::source::Source;

/// The entries of `exempt`, which nobody should be able to name himself.
pub(super) fn exempt(
    sections: Vec<Located<AccessSection>>,
    key: &Key<'_>,
    identity: &IdentitySettings,
    source: &mut Source<'_>,
) -> Vec<AccessEntry> {
    for (index, section) in sections.iter().enumerate() {
        if let Some(agents) = &section.value.user_agents {
            let message = "whoever writes this into its `User-Agent` is not limited at all";
            source.warn(&agents.place, key.item(index).named("user_agents"), Flaw::new(message));
        }
    }
    block(sections, key, identity, source)
}

/// The entries of `block`.
pub(super) fn block(
    sections: Vec<Located<AccessSection>>,
    key: &Key<'_>,
    identity: &IdentitySettings,
    source: &mut Source<'_>,
) -> Vec<AccessEntry> {
    let mut entries = Vec::with_capacity(sections.len());
    for (index, section) in sections.into_iter().enumerate() {
        entries.push(entry(section, &key.item(index), identity, source));
    }
    entries
}

fn entry(
    section: Located<AccessSection>,
    key: &Key<'_>,
    identity: &IdentitySettings,
    source: &mut Source<'_>,
) -> AccessEntry {
    let Located { place, value: section } = section;
    let names_somebody = section.networks.is_some()
        || section.users.is_some()
        || section.api_keys.is_some()
        || section.user_agents.is_some();
    if !names_somebody && section.is_whole {
        let message = "this names nobody; expected at least one of `networks`, `users`, `api_keys` \
                       and `user_agents`";
        source.refuse(&place, key, Flaw::new(message));
    }
    if let Some(users) = section.users.as_ref().filter(|_| !identity.knows_clients()) {
        let message = "only a verified token names a user; expected `[identity.jwt]`, or `verified_by = \
                       \"program\"` in `[identity]`";
        source.refuse(&users.place, key.named("users"), Flaw::new(message));
    }
    if let Some(networks) = &section.networks {
        for network in networks.value.0.iter().filter(|network| is_everybody(network.value.0)) {
            let flaw = Flaw::new("this network contains every address of its family");
            source.warn(&network.place, key.named("networks"), flaw);
        }
    }
    AccessEntry {
        networks: values(section.networks, |cidr| cidr.0),
        users: values(section.users, |user| user),
        api_keys: values(section.api_keys, |digest| digest.0),
        user_agents: values(section.user_agents, |text| text),
        until: given(section.until).map(|moment| moment.0),
        reason: given(section.reason),
    }
}

fn values<T, U>(list: Option<Located<OneOrMany<T>>>, value: impl Fn(T) -> U) -> Vec<U> {
    let list = given(list).map(|list| list.0).unwrap_or_default();
    list.into_iter().map(|located| value(located.value)).collect()
}
