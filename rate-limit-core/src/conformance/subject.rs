//! What is tested: a way to make fresh stores.

use crate::administration::RateLimitAdministration;
use crate::document::DocumentRepository;
use crate::manual_clock::ManualClock;
use crate::repository::RateLimitRepository;

/// What a store promises about requests that are charged to several identities.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Profile {
    /// All charges of a request are one atomic step.
    Atomic,
    /// Charges on different identities may be taken one after another and given back on denial:
    /// never too many, but while requests compete some may be denied although there was room.
    Compensated,
}

/// Something that makes fresh, empty stores. Implemented by every closure from a clock to a store.
pub trait Subject: Send + Sync {
    /// A fresh, empty store on `clock`, with a cap of at least 10,000 buckets.
    fn fresh(&self, clock: ManualClock) -> Box<dyn RateLimitRepository>;

    /// The same with access for operators; `None` if the store offers none.
    fn fresh_administered(&self, clock: ManualClock) -> Option<Box<dyn AdministeredRepository>> {
        let _ = clock;
        None
    }

    /// The same as a place for documents; `None` if the store keeps none.
    fn fresh_documents(&self, clock: ManualClock) -> Option<Box<dyn DocumentRepository>> {
        let _ = clock;
        None
    }
}

/// A store that operators can look into.
pub trait AdministeredRepository: RateLimitRepository + RateLimitAdministration {}

impl<R: RateLimitRepository + RateLimitAdministration> AdministeredRepository for R {}

impl<F, R> Subject for F
where
    F: Fn(ManualClock) -> R + Send + Sync,
    R: RateLimitRepository + 'static,
{
    fn fresh(&self, clock: ManualClock) -> Box<dyn RateLimitRepository> {
        Box::new(self(clock))
    }
}

/// Makes the suite test the [`RateLimitAdministration`] of the stores that a closure makes, too.
#[derive(Clone, Copy, Debug)]
pub struct WithAdministration<F>(pub F);

impl<F, R> Subject for WithAdministration<F>
where
    F: Fn(ManualClock) -> R + Send + Sync,
    R: AdministeredRepository + 'static,
{
    fn fresh(&self, clock: ManualClock) -> Box<dyn RateLimitRepository> {
        Box::new(self.0(clock))
    }

    fn fresh_administered(&self, clock: ManualClock) -> Option<Box<dyn AdministeredRepository>> {
        Some(Box::new(self.0(clock)))
    }
}

/// Makes the suite test the [`RateLimitAdministration`] and the [`DocumentRepository`] of the stores
/// that a closure makes, too.
#[derive(Clone, Copy, Debug)]
pub struct WithDocuments<F>(pub F);

impl<F, R> Subject for WithDocuments<F>
where
    F: Fn(ManualClock) -> R + Send + Sync,
    R: AdministeredRepository + DocumentRepository + 'static,
{
    fn fresh(&self, clock: ManualClock) -> Box<dyn RateLimitRepository> {
        Box::new(self.0(clock))
    }

    fn fresh_administered(&self, clock: ManualClock) -> Option<Box<dyn AdministeredRepository>> {
        Some(Box::new(self.0(clock)))
    }

    fn fresh_documents(&self, clock: ManualClock) -> Option<Box<dyn DocumentRepository>> {
        Some(Box::new(self.0(clock)))
    }
}
