//! What a rule counts by.

use http::HeaderName;
use serde_json::json;

use crate::configuration::KeyPart;
use crate::read::{FromText, Refused, closest};

/// The words that stand for themselves.
const WORDS: [(&str, KeyPart); 6] = [
    ("ip", KeyPart::Ip),
    ("user", KeyPart::User),
    ("api_key", KeyPart::ApiKey),
    ("tenant", KeyPart::Tenant),
    ("path", KeyPart::Path),
    ("global", KeyPart::Global),
];

impl FromText for KeyPart {
    const EXPECTED: &'static str = "one of \"ip\", \"user\", \"api_key\", \"tenant\", \"path\", \"global\", \
                                    \"header:NAME\" and \"claim:NAME\", or a list of them";

    fn from_text(text: &str) -> Result<Self, Refused> {
        if let Some((_, part)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(part.clone());
        }
        match text.split_once(':') {
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes())
                .map(Self::Header)
                .map_err(|_| Refused::because(format!("{name:?} cannot name a header field"))),
            Some(("claim", name)) if !name.is_empty() => Ok(Self::Claim(name.to_owned())),
            Some(("claim", _)) => Err(Refused::because("the name of the claim is missing")),
            _ => {
                let meant = closest(text, WORDS.iter().map(|(word, _)| *word));
                Err(Refused::UNLIKE.meant(meant.map(|word| format!("{word:?}"))))
            }
        }
    }

    fn text_schema() -> serde_json::Value {
        json!({ "anyOf": [
            { "enum": WORDS.map(|(word, _)| word) },
            { "type": "string", "pattern": "^(header|claim):.+$" },
        ] })
    }
}
