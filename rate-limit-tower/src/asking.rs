//! From the rules that apply to a request to the decision on it, now or later.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use rate_limit_core::{Access, Decide, Enforced, PendingDecision, RateLimitRepository};

use crate::layer::Shared;
use crate::request_view::RequestView;
use crate::rules::{Found, Matched, Plan, Provisional};
use crate::telemetry::Trail;

/// What is known of a request for as long as it is under way.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) client_address: Option<IpAddr>,
    pub(crate) matched: Matched,
}

/// The decision on a request.
#[allow(clippy::large_enum_variant, reason = "a box would cost the common case an allocation")]
pub(crate) enum Asked {
    Answered(Answered),
    Waiting(Waiting),
}

/// What was decided, and what of it may have to be given back at the response.
pub(crate) struct Answered {
    /// `None` if nobody knows who asks, and a rule demands that somebody does.
    pub(crate) enforced: Option<Enforced>,
    pub(crate) provisional: Vec<Provisional>,
    /// What it takes to tell operators about it.
    pub(crate) trail: Trail,
}

/// Somebody has to be waited for.
#[allow(
    clippy::large_enum_variant,
    reason = "a box would cost every wait for the store another one"
)]
pub(crate) enum Waiting {
    /// Who knows who is asking, and then the store.
    ForIdentity(Pin<Box<dyn Future<Output = Answered> + Send>>),
    /// The store.
    ForStore { decision: PendingDecision, provisional: Vec<Provisional>, trail: Trail },
}

impl Subject {
    /// The head of the request, borrowed.
    pub(crate) fn view<'a, B>(&self, request: &'a Request<B>) -> RequestView<'a> {
        RequestView::of(request, self.client_address)
    }
}

impl<R: RateLimitRepository + 'static> Shared<R> {
    /// Asks the store, at once if it is known who asks.
    #[inline]
    pub(crate) fn ask(self: &Arc<Self>, matched: &Matched, request: &RequestView<'_>) -> Asked {
        if self.rules.need_lookups(matched) && !self.knows_already(request) {
            return self.ask_after_lookups(matched, request);
        }
        let mut plan = self.rules.plan(matched, request, &Found::new());
        self.decide(request.client_address(), &mut plan)
    }

    #[inline]
    pub(crate) fn decide(&self, address: Option<IpAddr>, plan: &mut Plan) -> Asked {
        let Plan { access, charges, provisional, trail, lacks_identity } = plan;
        let (provisional, mut trail) = (std::mem::take(provisional), std::mem::take(trail));
        // Exempt beats blocked, whoever says so.
        let access = match (*access, self.enforce.access(address, charges)) {
            (Access::Exempt, _) | (_, Access::Exempt) => Access::Exempt,
            (Access::Block, _) | (_, Access::Block) => Access::Block,
            (Access::Limit, Access::Limit) => Access::Limit,
        };
        if *lacks_identity && access == Access::Limit {
            return Asked::Answered(Answered { enforced: None, provisional, trail });
        }
        match self.enforce.decide_with(access, std::mem::take(charges)) {
            Decide::Ready(enforced) => {
                Asked::Answered(Answered { enforced: Some(enforced), provisional, trail })
            }
            Decide::Pending(decision) => {
                trail.wait(&self.time_of_day);
                Asked::Waiting(Waiting::ForStore { decision, provisional, trail })
            }
        }
    }

    /// Whether it does not matter who exactly asks, so that nobody is troubled with the question.
    fn knows_already(&self, request: &RequestView<'_>) -> bool {
        let nobody = rate_limit_core::Charges::new();
        self.rules.access(request) != Access::Limit
            || self.enforce.access(request.client_address(), &nobody) != Access::Limit
    }

    #[cold]
    fn ask_after_lookups(self: &Arc<Self>, matched: &Matched, request: &RequestView<'_>) -> Asked {
        let (shared, matched, head) = (self.clone(), matched.clone(), request.to_head());
        Asked::Waiting(Waiting::ForIdentity(Box::pin(async move {
            let found = shared.rules.look_up(&matched, &head).await;
            let asked = {
                let mut plan = shared.rules.plan(&matched, &head.view(), &found);
                shared.decide(head.client_address(), &mut plan)
            };
            match asked {
                Asked::Answered(answered) => answered,
                Asked::Waiting(waiting) => waiting.await,
            }
        })))
    }
}

impl Future for Waiting {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        match self.get_mut() {
            Self::ForIdentity(answered) => answered.as_mut().poll(cx),
            Self::ForStore { decision, provisional, trail } => {
                let enforced = ready!(decision.as_mut().poll(cx));
                let (provisional, trail) = (std::mem::take(provisional), std::mem::take(trail));
                Poll::Ready(Answered { enforced: Some(enforced), provisional, trail })
            }
        }
    }
}
