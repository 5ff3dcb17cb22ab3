//! The use case on a real store, and requests at a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rate_limit_core::{
    Charge, Charges, ClientIdentity, Decide, EnforceRateLimit, Enforced, RateLimitPolicy,
    RateLimitPolicyBuilder, Verdict,
};
use rate_limit_memory::MemoryRepository;
use rate_limit_redis::{RedisRepository, RedisRepositoryBuilder};

/// For conditions that real processes bring about; generous, for a loaded machine.
pub(crate) const EVENTUALLY: Duration = Duration::from_secs(60);

pub(crate) type Policy = Arc<RateLimitPolicy>;

pub(crate) fn policy(builder: RateLimitPolicyBuilder) -> Policy {
    Arc::new(builder.build().unwrap())
}

pub(crate) fn user(name: &str) -> ClientIdentity {
    ClientIdentity::user(name).unwrap()
}

/// The use case of one process.
#[derive(Clone)]
pub(crate) struct Stack {
    pub(crate) limit: EnforceRateLimit<RedisRepository>,
}

impl Stack {
    /// With the defaults, except that a loaded machine gets more than 25 ms for a decision where a
    /// test is not about them.
    pub(crate) fn open(url: &str) -> Self {
        Self::build(patient(url), 1)
    }

    pub(crate) fn build(store: RedisRepositoryBuilder, nodes: u32) -> Self {
        let store = store.build().unwrap();
        let limit = EnforceRateLimit::builder(store)
            .fallback(MemoryRepository::new())
            .nodes(nodes)
            .build()
            .unwrap();
        Self { limit }
    }

    pub(crate) async fn ask(&self, who: &ClientIdentity, policy: &Policy) -> Enforced {
        let charge = Charge::new(who.clone(), policy.clone(), 1);
        match self.limit.decide(None, Charges::one(charge)) {
            Decide::Ready(enforced) => enforced,
            Decide::Pending(enforced) => enforced.await,
        }
    }

    /// Waits until the store decides. Returns for how long that took.
    pub(crate) async fn is_served(&self, policy: &Policy) -> Duration {
        let (started, nobody) = (now(), user("nobody"));
        eventually("the store decides", async || {
            !self.ask(&nobody, policy).await.decision.is_degraded()
        })
        .await;
        started.elapsed()
    }
}

/// Time enough for a decision on a machine that does a lot else.
pub(crate) fn patient(url: &str) -> RedisRepositoryBuilder {
    RedisRepository::builder(url).timeout(Duration::from_millis(500))
}

/// One request, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Wall-clock nanoseconds before and after: other processes have the same clock.
    pub(crate) sent: u64,
    pub(crate) done: u64,
    pub(crate) verdict: Verdict,
    pub(crate) is_degraded: bool,
    /// When the store charged it, by the store's own clock.
    pub(crate) charged: Option<u64>,
}

impl Asked {
    pub(crate) fn took(&self) -> Duration {
        Duration::from_nanos(self.done - self.sent)
    }

    /// Admitted by the store itself.
    pub(crate) fn is_admitted_by_store(&self) -> bool {
        self.verdict == Verdict::Allow && !self.is_degraded
    }
}

/// Asks once and notes what came of it.
pub(crate) async fn note(stack: &Stack, who: &ClientIdentity, policy: &Policy) -> Asked {
    let sent = wall_nanos();
    let Enforced { decision, .. } = stack.ask(who, policy).await;
    let done = wall_nanos().max(sent);
    let charged = decision.policies().next().and_then(|told| told.outcome().charged);
    Asked {
        sent,
        done,
        verdict: decision.verdict(),
        is_degraded: decision.is_degraded(),
        charged: charged.filter(|_| !decision.is_degraded()).map(|at| at.as_nanos()),
    }
}

/// Requests at a steady rate, each by a task of its own, until stopped.
pub(crate) struct Load {
    task: tokio::task::JoinHandle<Vec<Asked>>,
    stop: Arc<AtomicBool>,
    ended: Arc<AtomicU64>,
}

impl Load {
    /// So many requests per millisecond for one bucket.
    pub(crate) fn start(stack: &Stack, per_millisecond: usize, policy: &Policy) -> Self {
        Self::of(stack, per_millisecond, policy, user("everybody"))
    }

    pub(crate) fn of(
        stack: &Stack,
        per_millisecond: usize,
        policy: &Policy,
        who: ClientIdentity,
    ) -> Self {
        let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_stopped, count) = (stop.clone(), ended.clone());
        let (stack, policy) = (stack.clone(), policy.clone());
        let task = tokio::spawn(async move {
            let (mut callers, mut asked) = (tokio::task::JoinSet::new(), Vec::new());
            let mut pace = tokio::time::interval(Duration::from_millis(1));
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !is_stopped.load(Ordering::Relaxed) {
                pace.tick().await;
                for _ in 0..per_millisecond {
                    let (stack, policy) = (stack.clone(), policy.clone());
                    let (who, count) = (who.clone(), count.clone());
                    callers.spawn(async move {
                        let asked = note(&stack, &who, &policy).await;
                        count.fetch_add(1, Ordering::Relaxed);
                        asked
                    });
                }
                while let Some(one) = callers.try_join_next() {
                    asked.push(one.unwrap());
                }
            }
            while let Some(one) = callers.join_next().await {
                // A panic on the request path would show here.
                asked.push(one.unwrap());
            }
            asked
        });
        Self { task, stop, ended }
    }

    /// Waits until so many more requests were decided.
    pub(crate) async fn goes_on_for(&self, requests: u64) {
        let until = self.ended.load(Ordering::Relaxed) + requests;
        eventually("requests go on", async || self.ended.load(Ordering::Relaxed) >= until).await;
    }

    /// Everything that was asked, in the order in which it ended.
    pub(crate) async fn stop(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let mut asked = self.task.await.unwrap();
        asked.sort_by_key(|one| one.done);
        asked
    }
}

/// Asks until it holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let (started, mut pace) = (now(), tokio::time::interval(Duration::from_millis(1)));
    while !holds().await {
        assert!(started.elapsed() < EVENTUALLY, "in vain: {what}");
        pace.tick().await;
    }
}

/// What share of the requests, in thousandths, took at most how long.
pub(crate) fn percentile<'a>(asked: impl Iterator<Item = &'a Asked>, per_mille: usize) -> Duration {
    let mut all: Vec<Duration> = asked.map(Asked::took).collect();
    all.sort_unstable();
    let place = (all.len() * per_mille / 1_000).min(all.len().saturating_sub(1));
    all.get(place).copied().unwrap_or_default()
}

#[allow(clippy::disallowed_methods, reason = "these tests measure real processes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "several processes compare their logs")]
pub(crate) fn wall_nanos() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    u64::try_from(nanos).unwrap()
}
