//! Reloading on SIGHUP, by which operators ask programs to read their files again.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use super::Reloader;

impl Reloader {
    /// Reloads on every SIGHUP, for as long as the future is polled. Spawn it.
    ///
    /// From the moment that this returns, SIGHUP does not end the process any more. Several signals
    /// that come while one reload is under way are one.
    ///
    /// # Errors
    ///
    /// If the signal cannot be listened to.
    ///
    /// # Panics
    ///
    /// If it is called outside of a tokio runtime, or one without I/O.
    ///
    /// # Example: the usual way to run it
    ///
    /// ```no_run
    /// # async fn run(reloader: rate_limit_config::Reloader) -> std::io::Result<()> {
    /// tokio::spawn(reloader.reload_on_hangup()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reload_on_hangup(&self) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let mut hangups = signal(SignalKind::hangup())?;
        let reloader = self.clone();
        Ok(async move {
            while hangups.recv().await.is_some() {
                let reloader = reloader.clone();
                // Reading and checking a long file would hold up the requests of this thread. What
                // came of it was said.
                let _ = tokio::task::spawn_blocking(move || reloader.reload()).await;
            }
        })
    }
}
