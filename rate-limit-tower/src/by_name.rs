//! Deciding under rules that are named instead of matched, for services that are asked about requests
//! which they never see.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use rate_limit_core::{Charge, Charges, RateLimitRepository, Receipt, Settle, canonical_address};
use thiserror::Error;

use crate::asking::{Answered, Subject};
use crate::decided::Following;
use crate::layer::{RateLimitLayer, Shared};
use crate::peer;
use crate::request_view::RequestView;
use crate::rules::{Dimension, Matched, Plan};

/// A rule, and a head of a request that tells whose bucket it charges and how much.
///
/// The client's address is that in the extension [`PeerAddress`](crate::PeerAddress), whatever
/// proxies are trusted: who asks by name knows the client already.
#[derive(Clone, Debug)]
pub struct Question {
    rule: Arc<str>,
    head: Request<()>,
    units: Option<u64>,
}

/// What was decided about [questions](Question).
#[derive(Debug)]
#[must_use = "an answer says whether the request may pass"]
pub struct NamedAnswer {
    /// What the layer would have sent: status 200 without a body if the request may pass, and the
    /// rejection otherwise, with the fields of the decision in both cases. The
    /// [`Decision`](crate::Decision) itself is in the extensions, unless nobody knows who asks.
    pub response: Response<Bytes>,
    /// The right to settle what was charged. `None` if nothing was.
    pub receipt: Option<Receipt>,
}

/// A rule that was asked for does not exist.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("there is no rule `{rule}`; expected {}", listed(.known))]
pub struct UnknownRule {
    /// The name that no rule has.
    pub rule: String,
    /// The names of all rules.
    pub known: Vec<Arc<str>>,
}

/// Names that an error tells at most.
const MAX_TOLD: usize = 20;

fn listed(known: &[Arc<str>]) -> String {
    let told: Vec<String> = known.iter().take(MAX_TOLD).map(|name| format!("`{name}`")).collect();
    match known.len() {
        0 => "none, because there are no rules".to_owned(),
        1 => told.concat(),
        count if count > MAX_TOLD => {
            format!("one of {} and {} more", told.join(", "), count - MAX_TOLD)
        }
        _ => format!("one of {}", told.join(", ")),
    }
}

impl Question {
    /// A question about what `head` would be charged under `rule`, whether or not that rule matches
    /// it.
    ///
    /// The answer is never one for gRPC clients, whatever content type the head names.
    pub fn new(rule: impl Into<Arc<str>>, mut head: Request<()>) -> Self {
        head.headers_mut().remove(CONTENT_TYPE);
        Self { rule: rule.into(), head, units: None }
    }

    /// Charges so many units, whatever the rule says about its cost. Zero asks without charging.
    #[must_use]
    pub const fn cost(mut self, units: u64) -> Self {
        self.units = Some(units);
        self
    }
}

impl<R: RateLimitRepository + 'static> RateLimitLayer<R> {
    /// Decides about all questions together, in one atomic step: all are charged, or none is.
    ///
    /// Lists, tiers, costs, metrics and log lines are those of requests that the layer sees. Charges
    /// of rules that [count only](crate::Rule::count_only) some responses stand until the receipt is
    /// settled, because nobody sees a response here.
    ///
    /// # Errors
    ///
    /// If there is no rule of that name. Nothing is charged then.
    ///
    /// # Example: a service that other programs ask
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use http::Request;
    /// use rate_limit_tower::{
    ///     MemoryRepository, PeerAddress, Question, RateLimitLayer, RateLimitPolicy, Rule,
    ///     UnknownRule,
    /// };
    ///
    /// async fn may_log_in(
    ///     layer: &RateLimitLayer<MemoryRepository>,
    ///     client: std::net::SocketAddr,
    /// ) -> Result<bool, UnknownRule> {
    ///     let mut head = Request::new(());
    ///     head.extensions_mut().insert(PeerAddress(client));
    ///     let answer = layer.ask(&[Question::new("login", head)]).await?;
    ///     Ok(answer.response.status().is_success())
    /// }
    /// # }
    /// ```
    pub async fn ask(&self, questions: &[Question]) -> Result<NamedAnswer, UnknownRule> {
        let shared = &self.shared;
        let matched = self.matched(questions)?;
        let plan = self.plan(&matched, questions).await;
        let nothing = Request::new(());
        let head = questions.first().map_or(&nothing, |question| &question.head);
        let client_address = address(head);
        let mut answered = Answered::default();
        answered.plan = plan;
        if let Some(waiting) = shared.decide(client_address, &mut answered) {
            answered = waiting.await;
        }
        let decided = answered.enforced_mut();
        let passing = decided.filter(|enforced| enforced.decision.is_allowed());
        let receipt = passing.and_then(rate_limit_core::Enforced::take_receipt);
        let subject = Subject { client_address, matched };
        let response = match Following::of(&mut answered, &subject, head, shared) {
            Following::Pass(passing) => {
                let mut decided = passing.on_its_way(&subject.matched, shared);
                decided.complete(Response::new(Bytes::new()), None).map(|_| Bytes::new())
            }
            Following::Reject(response) => response,
        };
        Ok(NamedAnswer { response, receipt })
    }

    /// What the questions would be charged. Nothing is: for operators who look at buckets.
    ///
    /// # Errors
    ///
    /// If there is no rule of that name.
    pub async fn charges(&self, questions: &[Question]) -> Result<Charges, UnknownRule> {
        let matched = self.matched(questions)?;
        Ok(self.plan(&matched, questions).await.charges)
    }

    /// Corrects what was charged: every charge of the receipt becomes what `actual` says of it. See
    /// [`EnforceRateLimit::settle`](rate_limit_core::EnforceRateLimit::settle).
    ///
    /// Any layer on the same store and fallback settles what another one has charged.
    pub fn settle(&self, receipt: Receipt, actual: impl Fn(&Charge) -> u64) -> Settle {
        self.shared.enforce.settle(receipt, actual)
    }

    fn matched(&self, questions: &[Question]) -> Result<Matched, UnknownRule> {
        let rules = &self.shared.rules;
        let place = |question: &Question| {
            rules.place_of(&question.rule).ok_or_else(|| UnknownRule {
                rule: question.rule.to_string(),
                known: rules.names().cloned().collect(),
            })
        };
        questions.iter().map(place).collect()
    }

    async fn plan(&self, matched: &Matched, questions: &[Question]) -> Plan {
        let shared: &Arc<Shared<R>> = &self.shared;
        let mut found = Vec::with_capacity(questions.len());
        for (place, question) in matched.iter().zip(questions) {
            let one = Matched::from_slice(&[*place]);
            let is_asked = shared.rules.need_lookups(&one);
            found.push(match is_asked {
                true => {
                    let head = view(question).to_head();
                    shared.rules.look_up(&one, &head).await.pop().unwrap_or_default()
                }
                false => Vec::new(),
            });
        }
        let dimensions = matched.iter().zip(questions).zip(found);
        shared.rules.plan_named(dimensions.map(|((place, question), found)| Dimension {
            place: *place,
            request: view(question),
            found,
            units: question.units,
        }))
    }
}

fn view(question: &Question) -> RequestView<'_> {
    RequestView::of(&question.head, address(&question.head))
}

fn address<B>(head: &Request<B>) -> Option<std::net::IpAddr> {
    peer::address(head.extensions()).map(canonical_address)
}
