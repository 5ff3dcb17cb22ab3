//! Who may do what: everybody on loopback may ask; administration, and everything off loopback, needs
//! the token. Wrong tokens are limited themselves.

use std::net::SocketAddr;

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, StatusCode};
use rate_limit_memory::MemoryRepository;
use rate_limit_tower::{LayerError, PeerAddress, Question, RateLimitLayer, RateLimitPolicy, Rule};

use crate::problem::Problem;
use crate::token::{Shown, Token};

/// Wrong tokens that one address may show per minute.
const WRONG_PER_MINUTE: u64 = 10;

/// Addresses whose wrong tokens are remembered.
const REMEMBERED: usize = 10_000;

/// The rule that limits them.
const RULE: &str = "wrong-token";

/// In which a proxy shows the token, because `Authorization` is its client's.
pub(crate) static SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// Who may do what.
pub(crate) struct Admission {
    token: Option<Token>,
    reach: Reach,
    wrong: RateLimitLayer<MemoryRepository>,
}

/// From where the server can be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// From this machine.
    Loopback,
    /// From others as well.
    Network,
}

impl Reach {
    pub(crate) fn of(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() { Self::Loopback } else { Self::Network }
    }
}

impl Admission {
    pub(crate) fn new(token: Option<Token>, reach: Reach) -> Result<Self, LayerError> {
        let store = MemoryRepository::builder().max_keys(REMEMBERED).build();
        let rule = Rule::new(RULE).policy(RateLimitPolicy::per_minute(WRONG_PER_MINUTE));
        let wrong = RateLimitLayer::builder(store.unwrap_or_default()).without_fallback();
        Ok(Self { token, reach, wrong: wrong.rule(rule).build()? })
    }

    /// Whether somebody may ask for decisions.
    pub(crate) async fn asking(&self, request: &Parts) -> Result<(), Problem> {
        match self.reach {
            Reach::Loopback => Ok(()),
            Reach::Network => self.administering(request).await,
        }
    }

    /// Whether a proxy may ask about its client. Its token stands in a field of its own.
    pub(crate) async fn proxying(&self, request: &Parts) -> Result<(), Problem> {
        match self.reach {
            Reach::Loopback => Ok(()),
            Reach::Network => {
                self.with_token(request, |token, headers| match headers.get(&SERVICE_TOKEN) {
                    Some(value) => token.compare(value.as_bytes()),
                    None => Shown::Nothing,
                })
                .await
            }
        }
    }

    /// Whether somebody may administer.
    pub(crate) async fn administering(&self, request: &Parts) -> Result<(), Problem> {
        self.with_token(request, Token::shown_in).await
    }

    /// By which the audit log tells tokens apart.
    pub(crate) fn fingerprint(&self) -> String {
        self.token.as_ref().map(Token::fingerprint).unwrap_or_default()
    }

    async fn with_token(
        &self,
        request: &Parts,
        shown: impl FnOnce(&Token, &HeaderMap) -> Shown,
    ) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            let detail = "there is no token that would permit this; expected the server to be \
                          started with the variable RATE_LIMIT_TOKEN or with --token-file";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        };
        match shown(token, &request.headers) {
            // Never limited: somebody who tries tokens out must not lock out whoever has it, and
            // nobody can try out 32 bytes.
            Shown::Right => Ok(()),
            Shown::Nothing => {
                let detail = "expected a token, such as `Authorization: Bearer ...`";
                Err(Problem::new(StatusCode::UNAUTHORIZED, detail))
            }
            Shown::Wrong => Err(self.wrong(request.extensions.get::<PeerAddress>()).await),
        }
    }

    async fn wrong(&self, peer: Option<&PeerAddress>) -> Problem {
        let mut head = Request::new(());
        peer.map(|peer| head.extensions_mut().insert(*peer));
        let question = Question::new(RULE, head);
        let answer = self.wrong.ask(&[question]).await;
        let response = answer.ok().map(|answer| answer.response);
        let Some(limited) = response.filter(|response| !response.status().is_success()) else {
            return Problem::new(StatusCode::UNAUTHORIZED, "the token is not the one expected");
        };
        let detail = "too many wrong tokens from this address; expected to be asked again later";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
            .retry_after(limited.headers().get(RETRY_AFTER))
    }
}
