//! Real servers that crash, hang, move and refuse, and what callers of the link and the guard see.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rate_limit_core::{Answer, RepositoryError, RepositoryErrorKind};
use redis::Value;

use super::*;
use crate::clock::{now, pause};
use crate::guard::Guard;
use crate::health::{HealthChange, HealthChanges, HealthEvent};
use crate::script::Script;

mod cluster;
mod refusal;
mod sentinel;
mod server;
#[cfg(feature = "tls")]
mod tls;

/// For conditions that real processes bring about; generous, for a loaded machine.
const EVENTUALLY: Duration = Duration::from_secs(60);

/// Counts up, which shows how often it ran.
static COUNT: LazyLock<Script> =
    LazyLock::new(|| Script::new("return redis.call('INCR', KEYS[1])"));

/// A loaded machine connects within the timeout all the same, so no attempt fails for that.
fn options(url: &str, deadline: Duration) -> LinkOptions {
    LinkOptions {
        url: RedisUrl::parse(url).unwrap(),
        deadline,
        connect_timeout: Duration::from_secs(10),
        max_in_flight: 1_024,
        breaker: BreakerLimits::DEFAULT,
        #[cfg(feature = "tls")]
        encryption: None,
    }
}

/// A link and its guard, without a store on top.
struct Bench {
    link: Link,
    guard: Guard,
    changes: HealthChanges,
}

impl Bench {
    fn open(url: &str) -> Self {
        Self::with_deadline(url, Duration::from_millis(25))
    }

    fn with_deadline(url: &str, deadline: Duration) -> Self {
        Self::with(options(url, deadline))
    }

    fn with(options: LinkOptions) -> Self {
        let (deadline, most) = (options.deadline, options.max_in_flight);
        // Asked for changes before there is anything that changes.
        let reporter = Arc::new(Reporter::new());
        let changes = reporter.changes();
        let link = Link::open(options, &Handle::current(), reporter);
        let guard = Guard::new(link.clone(), most, deadline);
        Self { link, guard, changes }
    }

    /// One decision: how often this key was counted.
    fn decide(&self, key: &str) -> Answer<i64> {
        decide(&self.guard, &self.link, key)
    }

    /// Waits until decisions are made. Returns for how long that took.
    async fn is_served(&self, key: &str) -> Duration {
        let started = now();
        eventually("a decision is made", async || self.decide(key).await.is_ok()).await;
        started.elapsed()
    }

    /// Waits for a change, and returns all up to it.
    async fn sees(
        &mut self,
        what: &str,
        wanted: impl Fn(&HealthEvent) -> bool,
    ) -> Vec<HealthEvent> {
        let mut seen = Vec::new();
        let search = async {
            while let Some(HealthChange { event, .. }) = self.changes.next().await {
                seen.push(event.clone());
                if wanted(&event) {
                    return;
                }
            }
            panic!("no change will come any more");
        };
        if tokio::time::timeout(EVENTUALLY, search).await.is_err() {
            panic!("waited in vain for {what}; saw {seen:?}");
        }
        seen
    }

    /// The changes that nobody has looked at yet.
    async fn seen_so_far(&mut self) -> Vec<HealthEvent> {
        let mut seen = Vec::new();
        while let Ok(Some(change)) = tokio::time::timeout(Duration::ZERO, self.changes.next()).await
        {
            seen.push(change.event);
        }
        seen
    }

    async fn is_connected(&mut self) {
        self.sees("a connection", |event| *event == HealthEvent::Connected).await;
    }
}

fn decide(guard: &Guard, link: &Link, key: &str) -> Answer<i64> {
    let slot = Slot::of_tag(key.as_bytes());
    let mut call = ScriptCall::new(&COUNT, 1);
    call.key(|bytes| bytes.extend_from_slice(key.as_bytes()));
    let link = link.clone();
    guard.protect(slot, async move {
        match link.evaluate(slot, &call, Patience::Deadline).await? {
            Value::Int(count) => Ok(count),
            _ => Err(LinkError::Corrupt("no number")),
        }
    })
}

/// Asks until it holds.
async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = now();
    while !holds().await {
        assert!(started.elapsed() < EVENTUALLY, "in vain: {what}");
        pause(Duration::from_millis(1)).await;
    }
}

/// One decision under load.
#[derive(Clone, Copy, Debug)]
struct Taken {
    at: Instant,
    took: Duration,
    failure: Option<RepositoryErrorKind>,
}

/// Decisions at a steady rate, each with a caller of its own, until stopped.
struct Load {
    task: tokio::task::JoinHandle<Vec<Taken>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    made: Arc<std::sync::atomic::AtomicU64>,
}

impl Load {
    /// So many decisions per millisecond, over the given keys in turn.
    fn start(bench: &Bench, per_millisecond: usize, keys: Vec<String>) -> Self {
        use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (guard, link) = (bench.guard.clone(), bench.link.clone());
        let (is_stopped, count) = (Arc::clone(&stop), Arc::clone(&made));
        let task = tokio::spawn(async move {
            let mut callers = tokio::task::JoinSet::new();
            let mut taken = Vec::new();
            let mut pace = tokio::time::interval(Duration::from_millis(1));
            let mut keys = keys.iter().cycle();
            while !is_stopped.load(Relaxed) {
                pace.tick().await;
                for _ in 0..per_millisecond {
                    let (guard, link, count) = (guard.clone(), link.clone(), Arc::clone(&count));
                    let key = keys.next().cloned().unwrap_or_default();
                    callers.spawn(async move {
                        let at = now();
                        let failure = decide(&guard, &link, &key).await.err();
                        count.fetch_add(1, Relaxed);
                        let failure = failure.map(|error: RepositoryError| error.kind());
                        Taken { at, took: at.elapsed(), failure }
                    });
                }
                while let Some(one) = callers.try_join_next() {
                    taken.push(one.unwrap());
                }
            }
            while let Some(one) = callers.join_next().await {
                taken.push(one.unwrap());
            }
            taken
        });
        Self { task, stop, made }
    }

    /// Waits until so many more decisions were made.
    async fn goes_on_for(&self, decisions: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        let until = self.made.load(Relaxed) + decisions;
        eventually("decisions go on", async || self.made.load(Relaxed) >= until).await;
    }

    async fn stop(self) -> Vec<Taken> {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// What share of the decisions took at most how long.
fn percentile(taken: impl Iterator<Item = Taken>, per_mille: usize) -> Duration {
    let mut all: Vec<_> = taken.map(|one| one.took).collect();
    all.sort_unstable();
    let place = (all.len() * per_mille / 1_000).min(all.len().saturating_sub(1));
    all.get(place).copied().unwrap_or_default()
}

/// Prints the figures of an outage, and checks what holds on any machine: every decision ended,
/// and none for a reason that is not ours.
fn judge_outage(name: &str, taken: &[Taken], from: Instant, to: Instant) {
    use RepositoryErrorKind::{Overloaded, Timeout, Unavailable};
    let kinds = taken.iter().filter_map(|one| one.failure);
    for kind in kinds {
        assert!(matches!(kind, Timeout | Unavailable | Overloaded), "{name}: {kind:?}");
    }
    let within = || taken.iter().copied().filter(move |one| one.at >= from && one.at < to);
    let failed = |kind| within().filter(|one| one.failure == Some(kind)).count();
    let at_once = || within().filter(|one| one.failure == Some(Unavailable));
    let served = within().filter(|one| one.failure.is_none()).count();
    let timeouts = failed(Timeout);
    println!(
        "{name}: {} decisions in {:?} of outage: {served} served, {timeouts} timed out, {} refused \
         at once; p50 {:?}, p99 {:?} of those, longest decision {:?}",
        within().count(),
        to - from,
        at_once().count(),
        percentile(at_once(), 500),
        percentile(at_once(), 990),
        percentile(within(), 1_000),
    );
    assert!(at_once().count() > timeouts, "{name}: the breaker has not helped");
}
