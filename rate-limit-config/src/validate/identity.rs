//! The section `identity`.

use std::num::NonZeroU8;

use http::HeaderName;
use rate_limit_core::{IpPrefixes, Network};
use rate_limit_tower::{ClientAddress, ClientAddressError, ForwardingHeader, TrustedProxies};

use super::{Context, given, jwt};
use crate::configuration::{IdentitySettings, OnMissing, VerifiedBy};
use crate::document::IdentitySection;
use crate::problem::Flaw;
use crate::read::{Key, Located};
use crate::source::{Place, Source};

pub(super) fn identity(
    section: Option<Located<IdentitySection>>,
    key: &Key<'_>,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> IdentitySettings {
    let mut settings = IdentitySettings {
        client_address: ClientAddress::default(),
        prefixes: IpPrefixes::DEFAULT,
        api_key_header: HeaderName::from_static("x-api-key"),
        on_missing: OnMissing::Ip,
        default_tier: None,
        verified_by: VerifiedBy::Token,
        jwt: None,
    };
    let Some(section) = given(section) else {
        return settings;
    };
    settings.client_address = client_address(&section, key, source);
    settings.prefixes = prefixes(&section, key, source);
    if let Some(header) = given(section.api_key_header) {
        settings.api_key_header = header.0;
    }
    if let Some(on_missing) = given(section.on_missing) {
        settings.on_missing = on_missing.0;
    }
    settings.default_tier = given(section.default_tier).map(|name| name.0);
    settings.verified_by = given(section.verified_by).map_or(VerifiedBy::Token, |by| by.0);
    settings.jwt = section.jwt.map(|jwt| jwt::jwt(jwt, &key.named("jwt"), context, source));
    settings
}

fn prefixes(section: &IdentitySection, key: &Key<'_>, source: &mut Source<'_>) -> IpPrefixes {
    let (ipv4, ipv6) = (&section.ipv4_prefix, &section.ipv6_prefix);
    for (bits, name) in [
        (ipv4.as_ref().map(|bits| (&bits.place, bits.value.0)), "ipv4_prefix"),
        (ipv6.as_ref().map(|bits| (&bits.place, bits.value.0)), "ipv6_prefix"),
    ] {
        let message = match bits {
            Some((_, 0)) => "all clients of this family share one bucket",
            Some((_, 65..)) => {
                "one subscriber owns at least 64 bits of IPv6, so anybody can be many clients; \
                 expected at most 64"
            }
            _ => continue,
        };
        if let Some((place, _)) = bits {
            source.warn(place, key.named(name), Flaw::new(message));
        }
    }
    let ipv4_bits = ipv4.as_ref().map_or(32, |bits| bits.value.to());
    let ipv6_bits = ipv6.as_ref().map_or(64, |bits| bits.value.to());
    IpPrefixes::new(ipv4_bits, ipv6_bits).unwrap_or_default()
}

/// Where the client's address comes from. A header is believed only of somebody who is trusted.
fn client_address(
    section: &IdentitySection,
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> ClientAddress {
    let anybody = section.allow_any_peer.as_ref().filter(|flag| flag.value);
    let trust = [
        section.trusted_proxies.as_ref().map(|proxies| (&proxies.place, "trusted_proxies")),
        section.trusted_hops.as_ref().map(|hops| (&hops.place, "trusted_hops")),
        anybody.map(|flag| (&flag.place, "allow_any_peer")),
    ];
    let trust = trust.into_iter().flatten().next();
    let Some(header) = &section.forwarding_header else {
        if let (Some((place, name)), true) = (trust, section.is_whole) {
            let message = "nothing says which header is believed; expected `forwarding_header` \
                           beside it";
            source.refuse(place, key.named(name), Flaw::new(message));
        }
        return ClientAddress::default();
    };
    let parsed = match header.value.0.as_str() {
        "none" => {
            if let Some((place, name)) = trust {
                let message = "nobody has to be trusted where `forwarding_header` is \"none\"";
                source.refuse(place, key.named(name), Flaw::new(message));
            }
            return ClientAddress::peer();
        }
        "x-forwarded-for" => Ok(ForwardingHeader::XForwardedFor),
        "forwarded" => Ok(ForwardingHeader::Forwarded),
        name => ForwardingHeader::single(name),
    };
    let trusted = trusted(section, anybody.is_some(), &header.place, key, source);
    match (parsed, trusted) {
        (Ok(header), Some(trusted)) => ClientAddress::forwarded(header, trusted),
        (Err(error), _) => {
            let header_key = key.named("forwarding_header");
            source.refuse(&header.place, header_key, Flaw::new(error.to_string()));
            ClientAddress::default()
        }
        (Ok(_), None) => ClientAddress::default(),
    }
}

/// Who is believed; `None` if that was noted.
fn trusted(
    section: &IdentitySection,
    is_anybody: bool,
    header: &Place,
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> Option<TrustedProxies> {
    let hops = section.trusted_hops.as_ref().and_then(|hops| NonZeroU8::new(hops.value.to()));
    let proxies = section.trusted_proxies.as_ref();
    let listed = proxies.map(|proxies| proxies.value.0.as_slice()).unwrap_or_default();
    let universal = listed.iter().find(|cidr| is_everybody(cidr.value.0));
    let proxies_key = key.named("trusted_proxies");
    if is_anybody {
        if let (Some(proxies), None) = (proxies, universal) {
            let message = "with `allow_any_peer` whoever is connected is believed, so a list says \
                           nothing; expected one of the two";
            source.refuse(&proxies.place, proxies_key, Flaw::new(message));
        }
        return match hops {
            Some(hops) => TrustedProxies::any_peer_and_hops(hops).ok(),
            None => Some(TrustedProxies::any_peer()),
        };
    }
    if let Some(cidr) = universal {
        let message = "this network contains every address, so any client could claim to be any \
                       other; expected the addresses of your proxies, or `allow_any_peer = true` \
                       if nobody else can connect";
        source.refuse(&cidr.place, proxies_key, Flaw::new(message));
        return None;
    }
    if proxies.is_none() && section.is_whole {
        let message = "nobody is trusted with this header; expected `trusted_proxies` beside it";
        source.refuse(header, key.named("forwarding_header"), Flaw::new(message));
    }
    let networks = listed.iter().map(|cidr| cidr.value.0);
    match hops {
        Some(hops) => TrustedProxies::hops(hops, networks).ok(),
        None => TrustedProxies::networks(networks).ok(),
    }
}

/// Whether every address of a family lies in the network.
pub(super) fn is_everybody(network: Network) -> bool {
    matches!(TrustedProxies::networks([network]), Err(ClientAddressError::EveryAddress { .. }))
}
