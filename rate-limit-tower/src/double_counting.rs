//! Notices that one request is counted twice in one bucket (`RL006`): a layer applied around
//! itself, or two layers that share a store and the name of a policy.
//!
//! An outer layer leaves a mark on one request per second, which an inner layer reads. Marking
//! every request would cost each an allocation.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Extensions;
use rate_limit_core::{ClientIdentity, Decision, PolicyOutcome, Timestamp};

const SECOND: u64 = 1_000_000_000;

/// When the next request is marked.
#[derive(Debug, Default)]
pub(crate) struct Marking {
    next: AtomicU64,
}

/// What outer layers have charged. A request extension.
#[derive(Clone, Default)]
struct Marks(Vec<Mark>);

/// One bucket that an outer layer has charged.
#[derive(Clone)]
struct Mark {
    /// Where the layer keeps its state, as a number.
    layer: usize,
    bucket: Box<str>,
    identity: ClientIdentity,
    capacity: u64,
    remaining: u64,
}

impl Marking {
    /// Marks the request with what this layer has charged, if it is time to.
    #[inline]
    pub(crate) fn mark(
        &self,
        layer: usize,
        decision: &Decision,
        at: Timestamp,
        extensions: &mut Extensions,
    ) {
        // Relaxed, because nothing else is published by the instant. Between marks, this is the
        // only thing that happens, and only reads.
        let (at, next) = (at.as_nanos(), self.next.load(Ordering::Relaxed));
        // A clock that was set back must not end the marking.
        let is_due = at >= next || next - at > SECOND;
        if is_due && charged(decision).next().is_some() {
            self.mark_now(layer, decision, at, extensions);
        }
    }

    #[cold]
    fn mark_now(&self, layer: usize, decision: &Decision, at: u64, extensions: &mut Extensions) {
        self.next.store(at.saturating_add(SECOND), Ordering::Relaxed);
        let mut marks = extensions.remove::<Marks>().unwrap_or_default();
        marks.0.extend(charged(decision).map(|one| Mark {
            layer,
            bucket: one.policy().bucket_name().into(),
            identity: one.identity().clone(),
            capacity: one.policy().capacity(),
            remaining: one.outcome().remaining,
        }));
        extensions.insert(marks);
    }
}

/// The policy under which an outer layer has charged the same bucket for this request.
///
/// Of another layer it is not known whether its store is the same. It is taken for the same if this
/// layer finds in the bucket exactly what the other one has left there.
#[inline]
pub(crate) fn counted_twice<'a>(
    layer: usize,
    decision: &'a Decision,
    extensions: &Extensions,
) -> Option<&'a PolicyOutcome> {
    let marks = extensions.get::<Marks>()?;
    counted_in(marks, layer, decision)
}

#[cold]
fn counted_in<'a>(
    marks: &Marks,
    layer: usize,
    decision: &'a Decision,
) -> Option<&'a PolicyOutcome> {
    charged(decision).find_map(|one| {
        let left = one.outcome().remaining.checked_add(one.units())?;
        let is_same = |mark: &Mark| {
            *mark.bucket == *one.policy().bucket_name()
                && mark.identity == *one.identity()
                && (mark.layer == layer
                    || (mark.capacity == one.policy().capacity() && mark.remaining == left))
        };
        marks.0.iter().any(is_same).then_some(one)
    })
}

/// What was charged.
fn charged(decision: &Decision) -> impl Iterator<Item = &PolicyOutcome> {
    decision.policies().filter(|one| one.outcome().charged.is_some())
}
