//! Following what operators post and block elsewhere: every instance looks once per second.

use std::time::Duration;

use rate_limit_core::RepositoryError;
use tracing::{info, warn};

use crate::clock;
use crate::service::Service;
use crate::sources::Found;

/// How often is looked. Others notice within twice that.
const EVERY: Duration = Duration::from_secs(1);

/// How long the start waits for a store that is not connected yet.
const CONNECTING: Duration = Duration::from_millis(50);
const ATTEMPTS: usize = 20;

/// Looks for the first time. A store that is away does not keep the server from starting.
pub(crate) async fn begin(service: &Service) {
    for attempt in 1..=ATTEMPTS {
        match look(service).await {
            Ok(()) => return,
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                clock::wait(CONNECTING).await;
            }
            Err(error) => {
                return warn!("what operators have posted cannot be read yet: {error}");
            }
        }
    }
}

/// Looks for as long as it is polled.
pub(crate) async fn follow(service: Service) {
    let mut is_away = false;
    loop {
        clock::wait(EVERY).await;
        let looked = look(&service).await;
        match (&looked, is_away) {
            (Err(error), false) => warn!("what operators post cannot be read: {error}"),
            (Ok(()), true) => info!("what operators post can be read again"),
            _ => {}
        }
        is_away = looked.is_err();
        service.remember_trouble(looked.err());
    }
}

/// Looks once, and applies what is new. What cannot be applied is told by the reload.
async fn look(service: &Service) -> Result<(), RepositoryError> {
    let _turn = service.turn.lock().await;
    let applied = match service.sources.refresh(&*service.store.documents).await? {
        Found::Nothing => return Ok(()),
        Found::Blocks => service.apply_blocks().await,
        Found::Rules => service.reload().await,
    };
    applied.ok();
    Ok(())
}
