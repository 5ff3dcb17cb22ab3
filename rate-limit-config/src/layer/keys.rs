//! Whose bucket a rule charges.

use rate_limit_core::ClientIdentity;
use rate_limit_tower::Key;

use crate::configuration::{IdentitySettings, KeyPart, OnMissing, RuleSettings};
use crate::verified_client::VerifiedClient;

/// The key of a rule, in which every part has to be there.
pub(super) fn key(settings: &RuleSettings, identity: &IdentitySettings) -> Key {
    let mut parts: Vec<Key> = settings.key.iter().map(|part| of_part(part, identity)).collect();
    let is_always_there = settings
        .key
        .iter()
        .all(|part| matches!(part, KeyPart::Global | KeyPart::Ip | KeyPart::Path));
    let key = match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => Key::all_of(parts.into_iter().chain([last])),
        None => Key::ip(),
    };
    match settings.on_missing {
        OnMissing::Ip if !is_always_there => Key::first_of([key, Key::ip()]),
        _ => key,
    }
}

fn of_part(part: &KeyPart, identity: &IdentitySettings) -> Key {
    match part {
        KeyPart::ApiKey => Key::api_key(identity.api_key_header.as_str()),
        KeyPart::Claim(name) => {
            let name = name.clone();
            verified(move |client| client.claim_identity(&name))
        }
        KeyPart::Global => Key::global(),
        KeyPart::Header(name) => Key::header(name.as_str()),
        KeyPart::Ip => Key::ip(),
        KeyPart::Path => Key::path(),
        KeyPart::Tenant => verified(VerifiedClient::tenant_identity),
        KeyPart::User => verified(VerifiedClient::user_identity),
    }
}

/// What is known of a client that somebody has made sure of.
fn verified(
    identity: impl Fn(&VerifiedClient) -> Option<ClientIdentity> + Send + Sync + 'static,
) -> Key {
    Key::extension(identity)
}
