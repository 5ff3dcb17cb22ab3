//! Reloading when a file changes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{Debouncer, new_debouncer};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::folders::folders;
use super::{Reloader, report};
use crate::source::MAX_FILE_BYTES;

/// How long is waited for further changes, so that an editor that writes a file in several steps
/// causes one reload.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Reloads whenever a file changes, until it is dropped.
#[derive(Debug)]
#[must_use = "nothing is watched any more once this is dropped"]
pub struct Watch {
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

/// Why a file cannot be watched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The configuration does not come from a file.
    #[error("the configuration does not come from a file; expected `Reloader::of_file`")]
    NoFile,
    /// The operating system refuses.
    #[error("{path} cannot be watched: {source}", path = path.display())]
    Refused {
        /// The folder.
        path: PathBuf,
        /// What it says.
        source: std::io::Error,
    },
}

enum Message {
    Changed,
    Stop,
}

/// The thread that waits for changes, and what it remembers.
struct Watcher {
    reloader: Reloader,
    debouncer: Debouncer<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// What the files held when they were looked at last.
    seen: Contents,
}

/// A digest of each file; `None` if it could not be read.
type Contents = Vec<(PathBuf, Option<[u8; 32]>)>;

impl Reloader {
    /// Reloads whenever the file changes, or the file of keys that it names, until the [`Watch`] is
    /// dropped.
    ///
    /// It does not matter how: written in place, renamed over, or by exchanging a symbolic link
    /// anywhere on the way to it. Changes within 200 ms are one. A file that holds what it held
    /// before is not read again.
    ///
    /// This uses a thread of its own, and works without an asynchronous runtime.
    ///
    /// # Errors
    ///
    /// If there is no file, or its folder cannot be watched.
    pub fn watch(&self) -> Result<Watch, WatchError> {
        if self.shared.path.is_none() {
            return Err(WatchError::NoFile);
        }
        let (messages, received) = channel();
        let changes = messages.clone();
        // What exactly happened does not matter, and an error may hide a change.
        let notice = move |_| _ = changes.send(Message::Changed);
        let path = || self.shared.path.clone().unwrap_or_default();
        let debouncer = new_debouncer(DEBOUNCE, notice)
            .map_err(|error| WatchError::Refused { path: path(), source: io_error(error) })?;
        let mut watcher = Watcher {
            reloader: self.clone(),
            debouncer,
            watched: BTreeSet::new(),
            seen: Contents::new(),
        };
        watcher.aim()?;
        watcher.seen = watcher.read();
        let thread = std::thread::Builder::new()
            .name("rate-limit-watch".to_owned())
            .spawn(move || watcher.run(&received))
            .map_err(|source| WatchError::Refused { path: path(), source })?;
        Ok(Watch { messages, thread: Some(thread) })
    }
}

impl Watcher {
    fn run(mut self, messages: &Receiver<Message>) {
        // What changed before the watch began would otherwise wait for the next change.
        self.reloader.reload_if_different();
        while let Ok(Message::Changed) = messages.recv() {
            // First the folders, so that a change while the files are read is not missed.
            if let Err(error) = self.aim() {
                report::unwatched(&error);
            }
            let contents = self.read();
            if contents != self.seen {
                self.seen = contents;
                // What came of it was said.
                let _ = self.reloader.reload();
                // The new version may name another file of keys.
                if let Err(error) = self.aim() {
                    report::unwatched(&error);
                }
            }
        }
    }

    /// Watches the folders in which the files would change as they are now.
    fn aim(&mut self) -> Result<(), WatchError> {
        let wanted: BTreeSet<_> =
            self.reloader.files().iter().flat_map(|file| folders(file)).collect();
        for folder in self.watched.difference(&wanted) {
            // It may be gone already.
            let _ = self.debouncer.watcher().unwatch(folder);
        }
        self.watched.retain(|folder| wanted.contains(folder));
        for folder in wanted {
            if self.watched.contains(&folder) {
                continue;
            }
            let watching = self.debouncer.watcher().watch(&folder, RecursiveMode::NonRecursive);
            watching.map_err(|error| WatchError::Refused {
                path: folder.clone(),
                source: io_error(error),
            })?;
            self.watched.insert(folder);
        }
        Ok(())
    }

    fn read(&self) -> Contents {
        let files = self.reloader.files().into_iter();
        files.map(|path| (path.clone(), digest(&path).ok())).collect()
    }
}

/// Reads no more than whoever reads the file would, so that one that grows without end costs little
/// memory here.
fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Sha256::digest(&bytes).into())
}

impl Drop for Watch {
    fn drop(&mut self) {
        // If the thread has ended, there is nothing left to stop.
        let _ = self.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn io_error(error: notify_debouncer_mini::notify::Error) -> std::io::Error {
    use notify_debouncer_mini::notify::ErrorKind;
    match error.kind {
        ErrorKind::Io(source) => source,
        _ => std::io::Error::other(error),
    }
}
