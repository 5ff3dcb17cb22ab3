//! After the response: what a request has really cost.
//!
//! A charge is corrected at most once. Where the response's head says enough, that happens before
//! anybody sees the head: a store in this process answers at once; a store further away holds the
//! response back until it has answered, which its deadline bounds. So the correction neither needs
//! a task of its own, which the layer has no runtime for, nor is it lost when the body is never
//! read. Where only the end of the body says enough, it happens there, and what ends the body is
//! held back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Extensions, HeaderMap, Response, StatusCode};
use rate_limit_core::{
    Answer, Charge, RateLimitRepository, Receipt, RepositoryError, Settle, Settled,
};

use crate::grpc_web::WebTrailers;
use crate::handle::RateLimitHandle;
use crate::headers;
use crate::layer::Shared;
use crate::response_view::ResponseView;
use crate::rules::Provisional;

/// When the charge is corrected.
pub(crate) enum Settlement<R> {
    /// It stays as it is.
    Nothing,
    /// Now. Who is told if the store could not carry it out comes with it.
    Now(Settle, Arc<Shared<R>>),
    /// When the body ends.
    AtEnd(Ending),
}

/// What was charged, and what may change it. Nothing of this exists for a request whose charge
/// stands in any case.
pub(crate) struct Open<R> {
    pub(crate) receipt: Receipt,
    pub(crate) provisional: Vec<Provisional>,
    pub(crate) handle: Option<RateLimitHandle>,
    pub(crate) shared: Arc<Shared<R>>,
}

/// A charge that is corrected when the body ends.
pub(crate) struct Ending {
    /// Behind a lock that is never contended, because a pending answer cannot be shared between
    /// threads and a body has to be.
    state: Mutex<State>,
    /// Who is told that the store could not carry out the correction.
    not_settled: Box<NotSettled>,
    /// Reads the trailers where they are in the body.
    web_trailers: Option<WebTrailers>,
}

enum State {
    Waiting(Box<AtTheEnd>),
    Settling(Settle),
    Done,
}

/// Corrects the charge, knowing the trailers.
type AtTheEnd = dyn FnOnce(Option<&HeaderMap>) -> Settle + Send;

/// Is told why a charge could not be corrected.
type NotSettled = dyn Fn(&RepositoryError) + Send + Sync;

/// What is kept of the response's head.
struct Head {
    status: StatusCode,
    headers: HeaderMap,
    extensions: Extensions,
}

impl<R: RateLimitRepository + 'static> Open<R> {
    /// Decides when to correct the charge, now that the head of the response is there.
    pub(crate) fn settle<B>(self, response: &Response<B>) -> Settlement<R> {
        let Self { receipt, provisional, handle, shared } = self;
        // The response says it, because a client that could would choose what counts.
        let is_grpc = headers::are_of_grpc(response.headers());
        // The layer's own handle is not among those that are held.
        let awaits_report =
            handle.as_ref().is_some_and(|handle| handle.is_held() && !handle.has_report());
        let awaits_status = is_grpc
            && !provisional.is_empty()
            && !response.headers().contains_key(headers::GRPC_STATUS);
        if awaits_report || awaits_status {
            let head = Head {
                status: response.status(),
                headers: response.headers().clone(),
                extensions: response.extensions().clone(),
            };
            let told = shared.clone();
            let not_settled = move |failure: &_| told.telemetry.not_settled(failure);
            let settle = move |trailers: Option<&_>| {
                let view = head.view(is_grpc, trailers);
                settle(&shared, receipt, &provisional, handle.as_ref(), &view)
            };
            let web_trailers = WebTrailers::of(response.headers());
            return Settlement::AtEnd(Ending::new(settle, not_settled, web_trailers));
        }
        let handle = handle.filter(RateLimitHandle::has_report);
        if provisional.is_empty() && handle.is_none() {
            return Settlement::Nothing;
        }
        let view = if is_grpc {
            let (headers, extensions) = (response.headers(), response.extensions());
            ResponseView::grpc(response.status(), headers, extensions, None)
        } else {
            ResponseView::http(response)
        };
        let settle = settle(&shared, receipt, &provisional, handle.as_ref(), &view);
        Settlement::Now(settle, shared)
    }
}

/// Corrects each charge to what was reported, without what does not count.
fn settle<R: RateLimitRepository + 'static>(
    shared: &Shared<R>,
    receipt: Receipt,
    provisional: &[Provisional],
    handle: Option<&RateLimitHandle>,
    response: &ResponseView<'_>,
) -> Settle {
    let counts = |rule| {
        let counts = shared.rules.get(rule).and_then(|rule| rule.asks.counts.as_ref());
        counts.is_none_or(|counts| counts(response))
    };
    // Asked once per rule, not once per policy.
    let mut verdicts: Vec<(usize, bool)> = Vec::new();
    for one in provisional {
        if verdicts.iter().all(|(rule, _)| *rule != one.rule) {
            verdicts.push((one.rule, counts(one.rule)));
        }
    }
    let is_given_back = |one: &&Provisional| verdicts.contains(&(one.rule, false));
    let given_back: Vec<_> = provisional.iter().filter(is_given_back).collect();
    if given_back.is_empty() && handle.is_none_or(|handle| !handle.has_report()) {
        return Answer::ready(Settled::from_iter([]));
    }
    shared.enforce.settle(receipt, |charge: &Charge| {
        let units = handle.map_or(charge.units(), |handle| handle.actual(charge));
        let back = given_back.iter().filter(|one| one.is_part_of(charge)).map(|one| one.units);
        match back.fold(0, u64::saturating_add) {
            0 => units,
            // Nothing of the charge counts, whatever was reported of it.
            back if back >= charge.units() => 0,
            back => units.saturating_sub(back),
        }
    })
}

impl Provisional {
    /// Whether these units are in that charge. The policy may be another version by now: the part
    /// of it that holds without the store.
    fn is_part_of(&self, charge: &Charge) -> bool {
        self.policy.bucket_name() == charge.policy().bucket_name()
            && self.identity == *charge.identity()
    }
}

impl Head {
    fn view<'a>(&'a self, is_grpc: bool, trailers: Option<&'a HeaderMap>) -> ResponseView<'a> {
        let Self { status, headers, extensions } = self;
        if is_grpc {
            ResponseView::grpc(*status, headers, extensions, trailers)
        } else {
            ResponseView::plain(*status, headers, extensions)
        }
    }
}

impl Ending {
    fn new(
        settle: impl FnOnce(Option<&HeaderMap>) -> Settle + Send + 'static,
        not_settled: impl Fn(&RepositoryError) + Send + Sync + 'static,
        web_trailers: Option<WebTrailers>,
    ) -> Self {
        let state = Mutex::new(State::Waiting(Box::new(settle)));
        Self { state, not_settled: Box::new(not_settled), web_trailers }
    }

    /// Reads data of the body, which passes as it is.
    pub(crate) fn read_along<D: Buf + From<Bytes>>(&mut self, data: D) -> D {
        match &mut self.web_trailers {
            Some(web_trailers) => web_trailers.read_along(data),
            None => data,
        }
    }

    /// Starts the correction, now that the body has ended with these trailers, and says whether it
    /// is done. Trailers are only looked at the first time.
    pub(crate) fn poll(&mut self, trailers: Option<&HeaderMap>, cx: &mut Context<'_>) -> Poll<()> {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::replace(state, State::Done) {
                State::Waiting(settle) => {
                    let in_body = self.web_trailers.as_ref().and_then(WebTrailers::trailers);
                    *state = State::Settling(settle(trailers.or(in_body.as_ref())));
                }
                State::Settling(mut settle) => match Pin::new(&mut settle).poll(cx) {
                    Poll::Pending => {
                        *state = State::Settling(settle);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(_)) => {}
                    // The charge stands, which changes nothing for the client.
                    Poll::Ready(Err(failure)) => (self.not_settled)(&failure),
                },
                State::Done => return Poll::Ready(()),
            }
        }
    }
}

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ending(..)")
    }
}
