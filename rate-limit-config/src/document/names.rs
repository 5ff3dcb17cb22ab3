//! Names of rules, methods, header fields, hosts and paths.

use http::{HeaderName, Method, Uri};
use rate_limit_core::PolicyName;
use rate_limit_tower::{Rule, canonical_path};
use serde_json::json;

use crate::read::{FromText, Refused};

/// The name of a rule, a group or a limit.
#[derive(Clone, Debug)]
pub(crate) struct Name(pub(crate) String);

impl FromText for Name {
    const EXPECTED: &'static str = "1 to 64 of the characters A-Z a-z 0-9 _ - . :";

    fn from_text(text: &str) -> Result<Self, Refused> {
        PolicyName::new(text).map(|_| Self(text.to_owned())).map_err(|_| Refused::UNLIKE)
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$" })
    }
}

/// A method.
#[derive(Clone, Debug)]
pub(crate) struct MethodName(pub(crate) Method);

impl FromText for MethodName {
    const EXPECTED: &'static str = "a method such as \"POST\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        // Methods are case-sensitive, so nobody sends the one in lower case.
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            let meant = format!("{:?}", text.to_uppercase());
            return Err(Refused::because("methods are in capitals").meant(Some(meant)));
        }
        Method::from_bytes(text.as_bytes()).map(Self).map_err(|_| Refused::UNLIKE)
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^[^a-z\\s]+$", "examples": ["GET", "POST"] })
    }
}

/// The name of a header field.
#[derive(Clone, Debug)]
pub(crate) struct FieldName(pub(crate) HeaderName);

impl FromText for FieldName {
    const EXPECTED: &'static str = "the name of a header field such as \"x-api-key\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        HeaderName::from_bytes(text.as_bytes()).map(Self).map_err(|_| Refused::UNLIKE)
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" })
    }
}

/// A host in lower case, or `*.` and a domain for all hosts below that.
#[derive(Clone, Debug)]
pub(crate) struct HostName(pub(crate) String);

impl FromText for HostName {
    const EXPECTED: &'static str =
        "a host without a port such as \"api.example.com\" or \"*.example.com\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        // The layer knows best what it can match.
        match Rule::new("host").host(text).shapes() {
            // One form for each host, so that two rules for one are seen: in lower case, and without
            // the dot that may end a name.
            Ok(_) => Ok(Self(text.strip_suffix('.').unwrap_or(text).to_lowercase())),
            Err(_) => {
                let authority = text.parse::<http::uri::Authority>().ok();
                let host = authority.map(|authority| authority.host().to_lowercase());
                let meant = host.filter(|host| !host.is_empty() && *host != text);
                Err(Refused::UNLIKE.meant(meant.map(|host| format!("{host:?}"))))
            }
        }
    }
}

/// A pattern of paths.
#[derive(Clone, Debug)]
pub(crate) struct PathPattern(pub(crate) String);

impl FromText for PathPattern {
    const EXPECTED: &'static str =
        "a path such as \"/login\", \"/users/{id}\" or \"/files/{*rest}\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        path(text, |rule| rule.path(text)).map(Self)
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^/", "examples": ["/login", "/users/{id}"] })
    }
}

/// A path that stands for itself and all below it.
#[derive(Clone, Debug)]
pub(crate) struct PathPrefix(pub(crate) String);

impl FromText for PathPrefix {
    const EXPECTED: &'static str = "a path without braces such as \"/api\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        path(text, |rule| rule.path_prefix(text)).map(Self)
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^/[^{}]*$", "examples": ["/api"] })
    }
}

/// Asks the layer, which knows best what it can match.
fn path(text: &str, rule: impl FnOnce(Rule) -> Rule) -> Result<String, Refused> {
    if !text.starts_with('/') {
        let rooted = format!("/{text}");
        let ours = foreign(&rooted).and_then(|refused| refused.suggestion);
        let meant = ours.unwrap_or_else(|| format!("{:?}", canonical_path(&rooted)));
        return Err(Refused::UNLIKE.meant((!text.is_empty()).then_some(meant)));
    }
    let canonical = canonical_path(text);
    if canonical != text {
        let reason = "no request looks like this after its path was brought into canonical form";
        return Err(Refused::because(reason).meant(Some(format!("{canonical:?}"))));
    }
    if let Some(refused) = foreign(text) {
        return Err(refused);
    }
    match rule(Rule::new("path")).shapes() {
        Ok(_) => Ok(text.to_owned()),
        Err(rate_limit_tower::LayerError::Path { reason, .. }) => Err(Refused::because(reason)),
        Err(_) => Err(Refused::UNLIKE),
    }
}

/// Wildcards as others write them would stand for themselves, and the rule would never match.
fn foreign(text: &str) -> Option<Refused> {
    let is_foreign = |segment: &&str| matches!(*segment, "*" | "**") || segment.starts_with(':');
    let segment = text.split('/').find(is_foreign)?;
    let ours = |segment: &str| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None if matches!(segment, "*" | "**") => "{*rest}".to_owned(),
        None => segment.to_owned(),
    };
    let meant: Vec<String> = text.split('/').map(ours).collect();
    let reason = format!("`{segment}` would stand for itself");
    Some(Refused::because(reason).meant(Some(format!("{:?}", meant.join("/")))))
}

/// An absolute URL.
#[derive(Clone, Debug)]
pub(crate) struct AbsoluteUrl(pub(crate) String);

impl FromText for AbsoluteUrl {
    const EXPECTED: &'static str = "an absolute URL such as \"https://example.com/limits\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        let is_absolute = text.parse::<Uri>().is_ok_and(|uri| uri.scheme().is_some());
        if is_absolute { Ok(Self(text.to_owned())) } else { Err(Refused::UNLIKE) }
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "format": "uri" })
    }
}
