//! One request asks for all who would ask the same.

use rate_limit_core::{RepositoryError, RepositoryErrorKind};
use tokio::sync::watch;

/// The task of asking the store whether a denial still holds. Whoever drops it has given up.
pub(super) struct Renewal(watch::Sender<Progress>);

/// Waits for whoever asks.
#[derive(Clone)]
pub(super) struct Renewing(watch::Receiver<Progress>);

#[derive(Clone, Copy, Eq, PartialEq)]
enum Progress {
    Asking,
    Answered,
    Failed(RepositoryErrorKind),
}

/// A renewal, and what others wait on.
pub(super) fn begin() -> (Renewal, Renewing) {
    let (sender, receiver) = watch::channel(Progress::Asking);
    (Renewal(sender), Renewing(receiver))
}

impl Renewal {
    /// Tells everybody that the store has answered, or how it failed to.
    pub(super) fn end(self, failure: Option<RepositoryErrorKind>) {
        self.0.send_replace(failure.map_or(Progress::Answered, Progress::Failed));
    }
}

impl Renewing {
    /// Whether somebody is still asking.
    pub(super) fn is_under_way(&self) -> bool {
        *self.0.borrow() == Progress::Asking && self.0.has_changed().is_ok()
    }

    /// Waits until nobody asks any more.
    ///
    /// A failure is everybody's: asking again would take another deadline of a store that does not
    /// answer.
    pub(super) async fn ended(mut self) -> Result<(), RepositoryError> {
        let progress = self.0.wait_for(|progress| *progress != Progress::Asking).await;
        match progress.as_deref() {
            Ok(Progress::Failed(kind)) => Err(RepositoryError::new(*kind)),
            // An error means that whoever asked has given up.
            Ok(Progress::Asking | Progress::Answered) | Err(_) => Ok(()),
        }
    }
}
