//! Who is exempt or blocked, and until when.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use http::{HeaderName, header};
use rate_limit_core::{ApiKeyDigest, Clock, Network, Timestamp};
use rate_limit_tower::RequestView;
use sha2::{Digest, Sha256};

use super::ApplyError;
use crate::configuration::{AccessEntry, IdentitySettings};
use crate::verified_client::VerifiedClient;

/// The entries of one list, arranged by what they name.
pub(super) struct AccessList {
    networks: Vec<(Network, Timestamp)>,
    users: HashMap<Box<str>, Timestamp>,
    api_keys: HashMap<ApiKeyDigest, Timestamp>,
    user_agents: Option<UserAgents>,
    api_key_header: HeaderName,
    clock: Arc<dyn Clock>,
}

/// Texts that `User-Agent` may contain, found in one pass however many there are.
struct UserAgents {
    texts: AhoCorasick,
    /// Until when each of them counts.
    until: Vec<Timestamp>,
}

impl AccessList {
    pub(super) fn new(
        entries: &[AccessEntry],
        identity: &IdentitySettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ApplyError> {
        let mut list = Self {
            networks: Vec::new(),
            users: HashMap::new(),
            api_keys: HashMap::new(),
            user_agents: None,
            api_key_header: identity.api_key_header.clone(),
            clock,
        };
        let mut texts: Vec<(&str, Timestamp)> = Vec::new();
        for entry in entries {
            let until = entry.until.unwrap_or(Timestamp::LAST);
            list.networks.extend(entry.networks.iter().map(|network| (*network, until)));
            entry.users.iter().for_each(|user| keep(&mut list.users, user.as_str().into(), until));
            entry.api_keys.iter().for_each(|key| keep(&mut list.api_keys, *key, until));
            texts.extend(entry.user_agents.iter().map(|text| (text.as_str(), until)));
        }
        list.user_agents = UserAgents::new(&texts)?;
        Ok(list)
    }

    /// Whether nobody is named.
    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty()
            && self.users.is_empty()
            && self.api_keys.is_empty()
            && self.user_agents.is_none()
    }

    /// Whether anybody is named by address.
    pub(super) fn needs_addresses(&self) -> bool {
        !self.networks.is_empty()
    }

    /// Whether the client of a request is named, and still is.
    pub(super) fn names(&self, request: &RequestView<'_>) -> bool {
        // Read only if somebody is found, and then for each.
        let holds = |until: Timestamp| until == Timestamp::LAST || self.clock.utc_now() < until;
        self.names_address(request, &holds)
            || self.names_user(request, &holds)
            || self.names_api_key(request, &holds)
            || self.names_user_agent(request, &holds)
    }

    fn names_address(&self, request: &RequestView<'_>, holds: &dyn Fn(Timestamp) -> bool) -> bool {
        request.client_address().is_some_and(|address| {
            self.networks.iter().any(|(network, until)| network.contains(address) && holds(*until))
        })
    }

    fn names_user(&self, request: &RequestView<'_>, holds: &dyn Fn(Timestamp) -> bool) -> bool {
        if self.users.is_empty() {
            return false;
        }
        let user = request.extensions().get::<VerifiedClient>().and_then(VerifiedClient::user);
        user.and_then(|user| self.users.get(user)).is_some_and(|until| holds(*until))
    }

    fn names_api_key(&self, request: &RequestView<'_>, holds: &dyn Fn(Timestamp) -> bool) -> bool {
        if self.api_keys.is_empty() {
            return false;
        }
        let mut values = request.headers().get_all(&self.api_key_header).iter();
        let (Some(key), None) = (values.next(), values.next()) else {
            return false;
        };
        let digest = ApiKeyDigest::from_sha256(Sha256::digest(key.as_bytes()).into());
        self.api_keys.get(&digest).is_some_and(|until| holds(*until))
    }

    fn names_user_agent(
        &self,
        request: &RequestView<'_>,
        holds: &dyn Fn(Timestamp) -> bool,
    ) -> bool {
        let Some(agents) = &self.user_agents else {
            return false;
        };
        let values = request.headers().get_all(header::USER_AGENT).iter();
        values.into_iter().any(|value| agents.find(value.as_bytes()).any(holds))
    }
}

impl UserAgents {
    /// `None` if there are no texts.
    fn new(texts: &[(&str, Timestamp)]) -> Result<Option<Self>, ApplyError> {
        if texts.is_empty() {
            return Ok(None);
        }
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(texts.iter().map(|(text, _)| text));
        let until = texts.iter().map(|(_, until)| *until).collect();
        let texts = built.map_err(|_| ApplyError::UserAgents { count: texts.len() })?;
        Ok(Some(Self { texts, until }))
    }

    /// Until when the texts count that a field contains.
    fn find(&self, field: &[u8]) -> impl Iterator<Item = Timestamp> {
        let found = self.texts.find_overlapping_iter(field);
        found.filter_map(|text| self.until.get(text.pattern().as_usize()).copied())
    }
}

/// Of two entries for one client, the one counts that lasts longer.
fn keep<T: Eq + Hash>(list: &mut HashMap<T, Timestamp>, client: T, until: Timestamp) {
    let last = list.entry(client).or_insert(until);
    *last = until.max(*last);
}
