//! From who asks to the head of a request that says the same, from which the layer takes the key as it
//! does from requests that it sees.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use rate_limit_config::{Configuration, VerifiedClient};
use rate_limit_core::IdentityError;
use rate_limit_tower::PeerAddress;

use crate::fields::{Flaw, Flaws, Object};

/// What can be said of who asks.
const IDENTITY: &[&str] =
    &["ip", "user", "apiKey", "tenant", "tier", "issuer", "claims", "headers"];

/// What can be said of the request itself.
const REQUEST: &[&str] = &["method", "path", "host"];

/// The head that the fields `identity` and `request` describe.
pub(crate) fn read(
    object: &Object<'_>,
    configuration: &Configuration,
    flaws: &mut Flaws,
) -> Option<Request<()>> {
    let mut head = Request::new(());
    if let Some(value) = object.value("identity") {
        let identity = Object::read(object.at("identity"), value, IDENTITY, flaws)?;
        address(&identity, &mut head, flaws);
        verified(&identity, &mut head, flaws);
        api_key(&identity, configuration, &mut head, flaws);
        for (name, value) in identity.texts("headers", flaws) {
            let field = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value);
            match (field, value) {
                // Names differ also by case here, and the API key has a field of its own.
                (Ok(field), Ok(_)) if head.headers().contains_key(&field) => {
                    flaws.add(Flaw::twice(format!("{}.{name}", identity.at("headers"))));
                }
                (Ok(field), Ok(value)) => _ = head.headers_mut().append(field, value),
                _ => flaws.add(Flaw::new(
                    format!("{}.{name}", identity.at("headers")),
                    "the name of a header field with a value that it can have",
                )),
            }
        }
    }
    if let Some(value) = object.value("request") {
        let request = Object::read(object.at("request"), value, REQUEST, flaws)?;
        line(&request, &mut head, flaws);
    }
    Some(head)
}

fn address(identity: &Object<'_>, head: &mut Request<()>, flaws: &mut Flaws) {
    let Some(text) = identity.text("ip", flaws) else { return };
    match text.parse::<IpAddr>() {
        Ok(address) => _ = head.extensions_mut().insert(PeerAddress((address, 0).into())),
        Err(_) => flaws.add(Flaw::new(identity.at("ip"), "an address, such as 192.0.2.1")),
    }
}

/// What the caller has made sure of.
fn verified(identity: &Object<'_>, head: &mut Request<()>, flaws: &mut Flaws) {
    let mut text = |name| identity.text(name, flaws);
    let (issuer, tier, user, tenant) = (text("issuer"), text("tier"), text("user"), text("tenant"));
    let claims = identity.texts("claims", flaws);
    if issuer.or(tier).or(user).or(tenant).is_none() && claims.is_empty() {
        return;
    }
    let named = || -> Result<VerifiedClient, IdentityError> {
        let mut client = issuer.map_or_else(VerifiedClient::new, VerifiedClient::vouched_for_by);
        if let Some(tier) = tier {
            client = client.with_tier(tier);
        }
        if let Some(user) = user {
            client = client.with_user(user)?;
        }
        if let Some(tenant) = tenant {
            client = client.with_tenant(tenant)?;
        }
        claims.iter().try_fold(client, |client, (name, value)| client.with_claim(name, value))
    };
    match named() {
        Ok(client) => _ = head.extensions_mut().insert(client),
        Err(error) => flaws.add(Flaw::told(identity.path(), error)),
    }
}

fn api_key(
    identity: &Object<'_>,
    configuration: &Configuration,
    head: &mut Request<()>,
    flaws: &mut Flaws,
) {
    let Some(key) = identity.text("apiKey", flaws) else { return };
    match HeaderValue::from_str(key) {
        Ok(mut value) => {
            value.set_sensitive(true);
            head.headers_mut().insert(configuration.identity.api_key_header.clone(), value);
        }
        Err(_) => flaws.add(Flaw::new(identity.at("apiKey"), "visible ASCII")),
    }
}

fn line(request: &Object<'_>, head: &mut Request<()>, flaws: &mut Flaws) {
    if let Some(text) = request.text("method", flaws) {
        match text.parse::<Method>() {
            Ok(method) => *head.method_mut() = method,
            Err(_) => flaws.add(Flaw::new(request.at("method"), "a method, such as GET")),
        }
    }
    if let Some(text) = request.text("path", flaws) {
        match text.parse::<Uri>() {
            Ok(uri) if text.starts_with('/') => *head.uri_mut() = uri,
            _ => flaws.add(Flaw::new(request.at("path"), "a path that begins with /")),
        }
    }
    if let Some(text) = request.text("host", flaws) {
        match HeaderValue::from_str(text) {
            Ok(_) if head.headers().contains_key(header::HOST) => {
                flaws.add(Flaw::twice(request.at("host")));
            }
            Ok(value) => _ = head.headers_mut().insert(header::HOST, value),
            Err(_) => flaws.add(Flaw::new(request.at("host"), "a host, such as example.com")),
        }
    }
}
