//! The sections `exempt` and `block`.

use std::time::UNIX_EPOCH;

use rate_limit_core::{ApiKeyDigest, Timestamp};
use serde_json::json;
use toml::value::{Datetime, Offset};

use super::network::Cidr;
use crate::problem::Flaw;
use crate::read::{FromText, Key, OneOrMany, Read, Refused, section};
use crate::source::Source;
use crate::tree::{Node, Value};

section! {
    /// Whom an entry names: whoever one of its lists does.
    pub(crate) struct AccessSection {
        /// Addresses and networks.
        networks: OneOrMany<Cidr>,
        /// Users, as verified tokens name them.
        users: OneOrMany<String>,
        /// SHA-256 digests of API keys, in hexadecimal.
        api_keys: OneOrMany<Digest>,
        /// Texts that the field `User-Agent` contains, whatever their case. A client writes there
        /// what it likes.
        user_agents: OneOrMany<String>,
        /// When the entry ends, such as 2030-01-31T00:00:00Z. Never by default.
        until: Moment,
        /// Why the entry is here. It is never shown to clients.
        reason: String,
    }
}

/// The SHA-256 digest of an API key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(pub(crate) ApiKeyDigest);

impl FromText for Digest {
    const EXPECTED: &'static str =
        "the SHA-256 digest of an API key: 64 hexadecimal digits, as `sha256sum` prints them";
    // Somebody may have put the key itself there.
    const IS_SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, Refused> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| Refused::UNLIKE)?;
        Ok(Self(ApiKeyDigest::from_sha256(digest)))
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" })
    }
}

/// A time of day with a date.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Read for Moment {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        let datetime = match &node.value {
            Value::Datetime(datetime) => Some(*datetime),
            _ => node.text().and_then(|text| text.parse().ok()),
        };
        let moment = datetime.and_then(since_epoch).map(Self);
        if moment.is_none() {
            let expected =
                "a date and a time with their offset from UTC such as 2030-01-31T00:00:00Z";
            source.refuse(&node.place, at, Flaw::expected(expected).value(node.shown()));
        }
        moment
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "string", "format": "date-time" })
    }
}

/// `None` if the offset is missing, or the moment is before 1970.
fn since_epoch(datetime: Datetime) -> Option<Timestamp> {
    let Datetime { date: Some(date), time: Some(time), offset: Some(offset) } = datetime else {
        return None;
    };
    let second = time.second.unwrap_or_default();
    let utc = format!("{date}T{:02}:{:02}:{second:02}Z", time.hour, time.minute);
    let local = humantime::parse_rfc3339(&utc).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let ahead_minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let seconds = i64::try_from(local.as_secs()).ok()?.checked_sub(ahead_minutes * 60)?;
    let nanos = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    Some(Timestamp::from_nanos(nanos))
}
