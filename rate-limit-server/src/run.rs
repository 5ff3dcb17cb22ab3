//! From the arguments to a server that runs, and to its end.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use rate_limit_config::{
    ApplyError, Configuration, ConfiguredLayer, Environment, Reloader, SharedStore, StoreKind,
    Watch,
};
use tokio::net::TcpListener;
use tracing::warn;

use crate::admission::{Admission, Reach};
use crate::arguments::Arguments;
use crate::audit::Audit;
use crate::bans::Bans;
use crate::check::ad_hoc::AdHocLimits;
use crate::error::ServerError;
use crate::receipts::Receipts;
use crate::request_id::RequestIds;
use crate::service::{Parts, Service};
use crate::serving::{self, Bounds};
use crate::sources::Sources;
use crate::token::Token;
use crate::usage::Usage;
use crate::{banner, following, logging, metrics, routes, stores};

/// The version of the configuration with which the server starts.
const FIRST: u64 = 1;

/// How long threads have at the end for what they have begun, such as to write what was counted.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs the server until it is told to stop, or only checks the rules file.
///
/// # Errors
///
/// If arguments or rules are refused, or the server cannot work.
pub fn run(arguments: Arguments) -> Result<(), ServerError> {
    let environment = environment(&arguments);
    let sources = Sources::new(arguments.config.clone(), environment)?;
    let configuration = sources.load(FIRST)?;
    for warning in configuration.warnings() {
        let _ = writeln!(std::io::stderr(), "{warning}");
    }
    if arguments.check {
        return check(&configuration);
    }
    let token = Token::of_process(arguments.token_file.as_deref())?;
    let reach = Reach::of(arguments.listen);
    if reach == Reach::Network && token.is_none() {
        return Err(ServerError::OpenToAll { address: arguments.listen });
    }
    logging::begin(arguments.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(ServerError::Runtime)?;
    let ended = runtime.block_on(serve(arguments, sources, configuration, token));
    // A thread that reads a file on a file server that is away never ends.
    runtime.shutdown_timeout(LAST_WAIT);
    ended
}

/// The variables of the process, and what the arguments say in their place.
fn environment(arguments: &Arguments) -> Environment {
    let environment = Environment::of_process();
    match &arguments.store {
        Some(url) => environment.with_argument("--store", "RATE_LIMIT__STORE__URL", url),
        None => environment,
    }
}

/// Whether a layer can be made of the rules and a store opened, and what the rules mean.
fn check(configuration: &Configuration) -> Result<(), ServerError> {
    let store = rate_limit_memory::MemoryRepository::new();
    ConfiguredLayer::builder(store).without_fallback().build(configuration.clone())?;
    stores::check(&configuration.store)?;
    let text = format!("{}store: {}\n", configuration.explain(), configuration.store.url);
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

async fn serve(
    arguments: Arguments,
    sources: Sources,
    configuration: Configuration,
    token: Option<Token>,
) -> Result<(), ServerError> {
    let address = arguments.listen;
    let refused = |source| ServerError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;

    // Counters are registered with whoever counts when they are made.
    let prometheus = metrics::begin();
    let store = stores::open(&configuration.store)?;
    let shown = configuration.store.url.to_string();
    let rules = layer(&store, configuration)?;
    let ad_hoc = AdHocLimits::new(&store, &rules)?;
    let sources = Arc::new(sources);
    let reloader = reloader(&rules, &sources);
    tokio::spawn(reloader.reload_on_hangup().map_err(ServerError::Runtime)?);
    // Nothing is watched any more once this is dropped.
    let watch = watch(&reloader, &sources);
    let admission = Admission::new(token, Reach::of(address)).map_err(ApplyError::from)?;
    let service = Service::new(Parts {
        rules,
        ad_hoc,
        audit: Audit::begin(arguments.audit_log.as_deref(), admission.fingerprint())?,
        admission,
        store,
        sources,
        reloader,
        ready_when: arguments.ready_when,
        prometheus,
        receipts: Receipts::default(),
        usage: Usage::new(),
        bans: Bans::default(),
        trouble: std::sync::Mutex::default(),
        turn: tokio::sync::Mutex::default(),
    });
    // What was posted before is in force from the first request on, if the store can be asked.
    following::begin(&service).await;
    tokio::spawn(following::follow(service.clone()));
    let stop = stop().map_err(ServerError::Runtime)?;
    let ids = RequestIds::new(drawn()?);
    let bounds = Bounds {
        max_connections: arguments.max_connections,
        head_timeout: arguments.head_timeout,
        idle_timeout: arguments.idle_timeout,
        grace: arguments.grace,
    };
    banner::print(address, &shown);
    serving::serve(listener, routes::routes(service), ids, bounds, stop).await;
    // Whoever watches the file may be reading it, and is not waited for.
    tokio::task::spawn_blocking(move || drop(watch));
    Ok(())
}

fn reloader(rules: &ConfiguredLayer, sources: &Arc<Sources>) -> Reloader {
    let (in_force, read) = (rules.clone(), Arc::clone(sources));
    // Only the reloader applies anything, and it loads and applies in turn.
    let load = move || read.load(in_force.version() + 1);
    match sources.file() {
        Some(path) => Reloader::of_source_with_file(rules.clone(), path, load),
        None => Reloader::of_source(rules.clone(), load),
    }
}

/// A file that cannot be watched can still be read again when asked for.
fn watch(reloader: &Reloader, sources: &Sources) -> Option<Watch> {
    sources.file()?;
    match reloader.watch() {
        Ok(watch) => Some(watch),
        Err(error) => {
            warn!("changes of the rules file go unnoticed: {error}");
            None
        }
    }
}

fn layer(
    store: &stores::OpenStore,
    configuration: Configuration,
) -> Result<ConfiguredLayer, ServerError> {
    let builder = ConfiguredLayer::builder(SharedStore::clone(&store.deciding));
    let builder = match (&store.fallback, configuration.store.url.kind()) {
        // A file is one instance's, so nobody has to be told to count them.
        (Some(fallback), StoreKind::Sqlite) => {
            builder.fallback_of_one_process(SharedStore::clone(fallback))
        }
        (Some(fallback), _) => builder.fallback(SharedStore::clone(fallback)),
        (None, _) => builder.without_fallback(),
    };
    Ok(builder.build(configuration)?)
}

/// A number that nobody can guess.
fn drawn() -> Result<u64, ServerError> {
    getrandom::u64().map_err(|error| ServerError::Runtime(std::io::Error::other(error.to_string())))
}

/// Completes when the process is told to stop. From its call on, being told does not end it at once.
#[cfg(unix)]
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Completes when the process is told to stop.
#[cfg(not(unix))]
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
