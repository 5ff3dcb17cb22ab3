//! From the rules that apply to a request to the decision on it, now or later.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use rate_limit_core::{Access, Enforced, PendingDecision, RateLimitRepository};

use crate::layer::Shared;
use crate::request_view::RequestView;
use crate::rules::{Found, Matched, Plan};

/// What is known of a request for as long as it is under way.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) client_address: Option<IpAddr>,
    pub(crate) matched: Matched,
}

/// What was asked, and what was decided. Both are large values to move, so they are made where they
/// are read.
#[derive(Default)]
pub(crate) struct Answered {
    /// Without the charges, which are in the decision.
    pub(crate) plan: Plan,
    /// Means nothing if nobody knows who asks.
    enforced: Enforced,
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
    ForStore { decision: PendingDecision, plan: Plan },
}

impl Subject {
    /// The head of the request, borrowed.
    pub(crate) fn view<'a, B>(&self, request: &'a Request<B>) -> RequestView<'a> {
        RequestView::of(request, self.client_address)
    }
}

impl Answered {
    /// The decision; `None` if there is none because nobody knows who asks.
    pub(crate) fn enforced(&self) -> Option<&Enforced> {
        (!self.plan.lacks_identity).then_some(&self.enforced)
    }

    /// As [`enforced`](Self::enforced).
    pub(crate) fn enforced_mut(&mut self) -> Option<&mut Enforced> {
        (!self.plan.lacks_identity).then_some(&mut self.enforced)
    }
}

impl<R: RateLimitRepository + 'static> Shared<R> {
    /// Asks the store, at once if it is known who asks. If somebody has to be waited for, what stands
    /// in `answered` means nothing.
    #[inline]
    pub(crate) fn ask(
        self: &Arc<Self>,
        matched: &Matched,
        request: &RequestView<'_>,
        answered: &mut Answered,
    ) -> Option<Waiting> {
        if self.rules.need_lookups(matched) && !self.knows_already(request) {
            return Some(self.ask_after_lookups(matched, request));
        }
        self.rules.plan(matched, request, &Found::new(), &mut answered.plan);
        self.decide(request.client_address(), answered)
    }

    /// Asks the store about the plan. See [`ask`](Self::ask).
    #[inline]
    pub(crate) fn decide(
        &self,
        address: Option<IpAddr>,
        answered: &mut Answered,
    ) -> Option<Waiting> {
        let Answered { plan, enforced } = answered;
        let access = plan.access.and(self.enforce.access(address, &plan.charges));
        plan.lacks_identity &= access == Access::Limit;
        if plan.lacks_identity {
            return None;
        }
        let decision = self.enforce.decide_into(enforced, access, &mut plan.charges)?;
        let mut plan = std::mem::take(plan);
        plan.trail.wait(&self.time_of_day);
        Some(Waiting::ForStore { decision, plan })
    }

    /// Whether it does not matter who exactly asks, so that nobody is troubled with the question.
    fn knows_already(&self, request: &RequestView<'_>) -> bool {
        let nobody = rate_limit_core::Charges::new();
        let listed = self.enforce.access(request.client_address(), &nobody);
        match self.rules.access(request).and(listed) {
            Access::Exempt => true,
            // Unless it turns out to be somebody who is exempt.
            Access::Block => self.rules.exempt_identities.is_empty(),
            Access::Limit => false,
        }
    }

    #[cold]
    fn ask_after_lookups(
        self: &Arc<Self>,
        matched: &Matched,
        request: &RequestView<'_>,
    ) -> Waiting {
        let (shared, matched, head) = (self.clone(), matched.clone(), request.to_head());
        Waiting::ForIdentity(Box::pin(async move {
            let found = shared.rules.look_up(&matched, &head).await;
            let mut answered = Answered::default();
            shared.rules.plan(&matched, &head.view(), &found, &mut answered.plan);
            let waiting = shared.decide(head.client_address(), &mut answered);
            match waiting {
                None => answered,
                Some(waiting) => waiting.await,
            }
        }))
    }
}

impl Future for Waiting {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        match self.get_mut() {
            Self::ForIdentity(answered) => answered.as_mut().poll(cx),
            Self::ForStore { decision, plan } => {
                let enforced = ready!(decision.as_mut().poll(cx));
                Poll::Ready(Answered { plan: std::mem::take(plan), enforced })
            }
        }
    }
}
