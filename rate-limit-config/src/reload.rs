//! Reading the configuration again while the program runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::configuration::Configuration;
use crate::environment::Environment;
use crate::layer::{Applied, ApplyError, ConfiguredLayer};
use crate::problem::ConfigurationError;

#[cfg(feature = "watch")]
mod folders;
#[cfg(all(feature = "signal", unix))]
mod hangup;
mod report;
#[cfg(feature = "watch")]
mod watch;

#[cfg(feature = "watch")]
pub use watch::{Watch, WatchError};

/// Reads the configuration again and applies it: when it is told to, on SIGHUP, or when the file
/// changes.
///
/// What cannot be read or applied changes nothing: the version before stays in force, the metric
/// `rate_limit_config_reloads_total{outcome="refused"}` counts it, and the reasons are said aloud, all
/// of them at once. Clones share everything.
///
/// Reading and checking happen on the thread that asks for it. No request waits for them, and no reload
/// waits for another that reads: a file that does not answer holds up only who reads it.
///
/// # Example: a program that asks for a reload itself
///
/// ```no_run
/// use rate_limit_config::{Configuration, ConfiguredLayer, Environment, Reloader};
/// use rate_limit_memory::MemoryRepository;
///
/// let environment = Environment::of_process();
/// let configuration = Configuration::from_file("limits.toml", &environment)?;
/// let store = MemoryRepository::builder().build()?;
/// let layer = ConfiguredLayer::builder(store).without_fallback().build(configuration)?;
/// let reloader = Reloader::of_file(layer.clone(), "limits.toml", environment);
///
/// match reloader.reload() {
///     Ok(applied) => println!("version {} is in force", applied.version),
///     Err(refused) => println!("version {} stays in force: {refused}", layer.version()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Reloader {
    shared: Arc<Shared>,
}

struct Shared {
    layer: ConfiguredLayer,
    load: Box<Load>,
    /// Which file is watched.
    #[cfg_attr(not(feature = "watch"), allow(dead_code, reason = "nobody watches it"))]
    path: Option<PathBuf>,
    /// How many reads have begun.
    reads: AtomicU64,
    /// Which of them was applied or refused last. Held meanwhile, so that what was read later is
    /// applied later.
    turn: Mutex<u64>,
    /// Held for a moment only, so that nobody who asks for it waits for a reload.
    status: Mutex<ReloadStatus>,
}

type Load = dyn Fn() -> Result<Configuration, ConfigurationError> + Send + Sync;

/// What came of reloads so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReloadStatus {
    /// How many were applied.
    pub applied: u64,
    /// How many were refused.
    pub refused: u64,
    /// What came of the last one; `None` before the first.
    pub last: Option<Result<Applied, ReloadError>>,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ReloadError {
    /// No layer can be made of the configuration.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The configuration cannot be read, or something in it cannot work.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

impl Reloader {
    /// Reads a file, with the variables of `environment` in the place of what they override.
    pub fn of_file(
        layer: ConfiguredLayer,
        path: impl Into<PathBuf>,
        environment: Environment,
    ) -> Self {
        let path = path.into();
        let read = path.clone();
        let load = move || Configuration::from_file(&read, &environment);
        Self::new(layer, Box::new(load), Some(path))
    }

    /// Takes the configuration from wherever `load` does. It is called by one thread at a time, and
    /// what it returns is applied, or refused, or was in force already, before it is called again.
    pub fn of_source(
        layer: ConfiguredLayer,
        load: impl Fn() -> Result<Configuration, ConfigurationError> + Send + Sync + 'static,
    ) -> Self {
        Self::new(layer, Box::new(load), None)
    }

    /// The same for a source of which `path` is a part, so that it can be watched.
    pub fn of_source_with_file(
        layer: ConfiguredLayer,
        path: impl Into<PathBuf>,
        load: impl Fn() -> Result<Configuration, ConfigurationError> + Send + Sync + 'static,
    ) -> Self {
        Self::new(layer, Box::new(load), Some(path.into()))
    }

    fn new(layer: ConfiguredLayer, load: Box<Load>, path: Option<PathBuf>) -> Self {
        report::begun(layer.version());
        let (reads, turn, status) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { layer, load, path, reads, turn, status }) }
    }

    /// Reads the configuration and applies it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it. The version before stays in force.
    pub fn reload(&self) -> Result<Applied, ReloadError> {
        let (read, _turn) = self.read();
        self.apply(read)
    }

    /// Applies what `change` makes of the configuration in force, without reading anything: for a
    /// part that does not come from the source, and has to change also while that cannot be read.
    ///
    /// It takes turns with reloads, so neither of them undoes what the other has done, and counts as
    /// one.
    ///
    /// # Errors
    ///
    /// If no layer can be made of the outcome. The version before stays in force.
    ///
    /// # Example: somebody is turned away, whatever has become of the file
    ///
    /// ```
    /// use rate_limit_config::{
    ///     AccessEntry, Configuration, ConfiguredLayer, Environment, Reloader,
    /// };
    /// use rate_limit_memory::MemoryRepository;
    ///
    /// let text = "[[rule]]\nname = \"api\"\nkey = \"ip\"\nlimit = \"100/min\"\n";
    /// let configuration = Configuration::from_toml("limits.toml", text, &Environment::empty())?;
    /// let store = MemoryRepository::builder().build()?;
    /// let layer = ConfiguredLayer::builder(store).without_fallback().build(configuration)?;
    /// let reloader = Reloader::of_file(layer, "gone.toml", Environment::empty());
    ///
    /// assert!(reloader.reload().is_err());
    /// let mut entry = AccessEntry::default();
    /// entry.users.push("mallory".to_owned());
    /// let applied = reloader.change(|configuration| configuration.block.push(entry))?;
    /// assert_eq!(applied.version, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn change(&self, change: impl FnOnce(&mut Configuration)) -> Result<Applied, ReloadError> {
        let mut turn = locked(&self.shared.turn);
        // Whoever is reading meanwhile has not seen what is changed here, and reads again.
        *turn = self.shared.reads.fetch_add(1, Ordering::Relaxed) + 1;
        let mut configuration = (*self.shared.layer.configuration()).clone();
        change(&mut configuration);
        self.apply(Ok(configuration))
    }

    /// Applies what was read, and tells what came of it. Only called in turn.
    fn apply(&self, read: Result<Configuration, ReloadError>) -> Result<Applied, ReloadError> {
        let apply = |configuration| Ok(self.shared.layer.apply(configuration)?);
        let outcome = read.and_then(apply);
        match &outcome {
            Ok(applied) => {
                report::applied(applied, self.shared.layer.configuration().warnings());
            }
            Err(why) => report::refused(self.shared.layer.version(), why),
        }
        let mut status = locked(&self.shared.status);
        match &outcome {
            Ok(_) => status.applied += 1,
            Err(_) => status.refused += 1,
        }
        status.last = Some(outcome.clone());
        outcome
    }

    /// What came of reloads so far.
    pub fn status(&self) -> ReloadStatus {
        locked(&self.shared.status).clone()
    }

    /// The layer whose configuration is exchanged.
    pub fn layer(&self) -> &ConfiguredLayer {
        &self.shared.layer
    }

    /// Reads the configuration, and whose turn it is then.
    fn read(&self) -> (Result<Configuration, ReloadError>, MutexGuard<'_, u64>) {
        loop {
            let number = self.shared.reads.fetch_add(1, Ordering::Relaxed) + 1;
            let read = (self.shared.load)();
            let mut last = locked(&self.shared.turn);
            // Somebody who began later was faster, so this may be older than what is in force.
            if number > *last {
                *last = number;
                return (read.map_err(ReloadError::from), last);
            }
        }
    }
}

/// Nothing that is kept under a lock here can be half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "watch")]
impl Reloader {
    /// Reloads if what the source says now is not what is in force.
    fn reload_if_different(&self) {
        let (read, _turn) = self.read();
        let in_force = self.shared.layer.configuration();
        if read.as_ref().ok() != Some(&*in_force) {
            // Whatever came of it was said.
            let _ = self.apply(read);
        }
    }

    /// The files that the configuration in force was read from, and the watched one.
    fn files(&self) -> Vec<PathBuf> {
        let configuration = self.shared.layer.configuration();
        let jwt = configuration.identity.jwt.as_ref();
        let jwks = jwt.and_then(|jwt| jwt.jwks_file.as_ref()).map(|file| file.path.clone());
        self.shared.path.iter().cloned().chain(jwks).collect()
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.shared.path.as_deref().map(Path::display).map(|path| path.to_string());
        f.debug_struct("Reloader").field("path", &path).finish_non_exhaustive()
    }
}
