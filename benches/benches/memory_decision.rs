//! What does one decision in memory cost, beside governor's keyed limiter?
//!
//! Governor is measured on the operating system's monotonic clock, which is what our store reads by
//! default, and on the processor's time-stamp counter, which is its own default; ours on both as
//! well. `map` is the domain's decision on records in a `dashmap`, `floor` a table of 16-byte places
//! that says yes or no and nothing else; both on the time-stamp counter.
//!
//! Our store is given the charges of a request, as governor is given its key; the rows `with charges`
//! make them first, from the client's address, as the layer does.
//!
//! Keys come in a random order, so with many of them each is far away when it is its turn, while the
//! question itself has just been made. With two threads both ask at once, and the time is that from
//! the first question to the last answer divided by the questions of one.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::cell::Cell;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use governor::clock::{Clock, MonotonicClock, QuantaClock};
use rate_limit_benches::baseline::{Floor, MapStore};
use rate_limit_benches::workload::Spread;
use rate_limit_benches::{Path, addresses, charges, decide, governor, policies};
use rate_limit_core::Charges;
use rate_limit_memory::{MemoryRepository, SystemClock, TimeStampCounterClock};

/// Questions that one thread makes at a time. Reading the time before and after costs less than a
/// nanosecond for each of so many, and they fit into the cache next to the processor.
const AT_A_TIME: usize = 64;

/// One workload: who asks, in which order, on how many threads, under how many policies.
struct Workload {
    path: Path,
    policies: usize,
    threads: usize,
    everybody: Vec<IpAddr>,
    order: Vec<IpAddr>,
}

impl Workload {
    fn new(path: Path, keys: usize, spread: Spread, policies: usize, threads: usize) -> Self {
        let (everybody, order) = (addresses(keys), spread.order(keys));
        Self { path, policies, threads, everybody, order }
    }

    /// Measures one contender, which is asked about everybody first.
    fn measure<K: Sync>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        (name, parameter): (&str, &str),
        key: impl Fn(&IpAddr) -> K,
        ask: impl Fn(&K) -> bool + Sync,
    ) {
        self.everybody.iter().for_each(|address| {
            ask(&key(address));
        });
        let id = BenchmarkId::new(name, parameter);
        // Goes on where the last run ended, so that no key is asked for again at once.
        let begin = Cell::new(0);
        let start = |count: u64| begin.replace((begin.get() + count as usize) % self.order.len());
        if self.threads == 1 {
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| self.run_alone(start(count), count, &key, &ask));
            });
        } else {
            let questions: Vec<K> = self.order.iter().map(key).collect();
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| self.run(&questions, start(count), count, &ask));
            });
        }
    }

    /// On one thread the questions are made a few at a time, outside of what is measured: those of a
    /// request are new when they are asked, and lie in no memory that is far away.
    fn run_alone<K>(
        &self,
        start: usize,
        count: u64,
        key: impl Fn(&IpAddr) -> K,
        ask: impl Fn(&K) -> bool,
    ) -> Duration {
        let mut coming = self.order[start..].iter().chain(self.order.iter().cycle());
        let mut questions = Vec::with_capacity(AT_A_TIME);
        let mut asked = Duration::ZERO;
        let mut left = count as usize;
        while left > 0 {
            questions.clear();
            questions.extend(coming.by_ref().take(left.min(AT_A_TIME)).map(&key));
            left -= questions.len();
            let begin = now();
            for question in &questions {
                black_box(ask(black_box(question)));
            }
            asked += begin.elapsed();
        }
        asked
    }

    /// On several threads all questions are made before, so that everybody asks all the time.
    fn run<K: Sync>(
        &self,
        questions: &[K],
        start: usize,
        count: u64,
        ask: &(impl Fn(&K) -> bool + Sync),
    ) -> Duration {
        let turn = |thread: usize| {
            let start = (start + thread * questions.len() / self.threads) % questions.len();
            let mut turn = questions[start..].iter().chain(questions.iter().cycle());
            for _ in 0..count {
                black_box(ask(black_box(turn.next().unwrap())));
            }
        };
        let ready = Barrier::new(self.threads);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let (ready, turn) = (&ready, &turn);
                    scope.spawn(move || {
                        ready.wait();
                        let begin = now();
                        turn(thread);
                        begin.elapsed()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap_or_default()
        })
    }

    /// Governor has no decision over several limits; asking one limiter after the other is what its
    /// users do. A denial by the second has then already cost a unit of the first.
    fn governor<C: Clock + Clone + Sync>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        id: (&str, &str),
        clock: C,
    ) where
        C::Instant: Send + Sync,
    {
        let limiters: Vec<_> =
            (0..self.policies).map(|_| governor(self.path, clock.clone())).collect();
        let ask = |address: &IpAddr| limiters.iter().all(|one| one.check_key(address).is_ok());
        self.measure(group, id, |address| *address, ask);
    }

    fn ours<C: rate_limit_core::Clock>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        id: (&str, &str),
        clock: C,
    ) {
        let policies = policies(self.path, self.policies).unwrap();
        let max_keys = (self.everybody.len() * self.policies * 2).max(64);
        let store = MemoryRepository::builder().clock(clock).max_keys(max_keys).build().unwrap();
        let given = |address: &IpAddr| charges(*address, &policies);
        self.measure(group, id, given, |charges: &Charges| decide(&store, charges));
    }

    fn ours_with_charges(&self, group: &mut BenchmarkGroup<'_, WallTime>, id: (&str, &str)) {
        let policies = policies(self.path, self.policies).unwrap();
        let max_keys = (self.everybody.len() * self.policies * 2).max(64);
        let store = MemoryRepository::builder().max_keys(max_keys).build().unwrap();
        let ask = |address: &IpAddr| decide(&store, &charges(*address, &policies));
        self.measure(group, id, |address| *address, ask);
    }

    fn everyone(&self, group: &mut BenchmarkGroup<'_, WallTime>, parameter: &str) {
        self.governor(group, ("governor, TSC", parameter), QuantaClock::default());
        self.ours(group, ("ours, TSC", parameter), TimeStampCounterClock::new());
        self.ours(group, ("ours, OS clock", parameter), SystemClock::new());
        if self.threads == 1 {
            self.governor(group, ("governor, OS clock", parameter), MonotonicClock);
            self.ours_with_charges(group, ("ours with charges, OS clock", parameter));
        }
        if self.policies == 1 {
            let policies = policies(self.path, 1).unwrap();
            let map = MapStore::new(TimeStampCounterClock::new());
            let given = |address: &IpAddr| charges(*address, &policies);
            let ask = |charges: &Charges| charges.get(0).is_some_and(|charge| map.decide(charge));
            self.measure(group, ("map, TSC", parameter), given, ask);
            let (burst, interval_nanos) = self.path.floor_limit();
            let clock = TimeStampCounterClock::new();
            let floor = Floor::new(clock, self.everybody.len(), burst, interval_nanos);
            self.measure(group, ("floor, TSC", parameter), |a| *a, |address| floor.decide(address));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn by_number_of_keys(c: &mut Criterion) {
    let kinds = [
        ("1", 1, Spread::Uniform),
        ("1000", 1_000, Spread::Uniform),
        ("1000000", 1_000_000, Spread::Uniform),
        ("1000000 by Zipf", 1_000_000, Spread::Zipf),
    ];
    for threads in [1, 2] {
        for path in [Path::Admitted, Path::Denied] {
            let mut group = c.benchmark_group(format!("{}, {threads} threads", path.name()));
            if threads > 1 {
                // Threads are started for each sample; fewer ones are longer, and hide the start.
                group.sample_size(20);
            }
            for (parameter, keys, spread) in kinds {
                Workload::new(path, keys, spread, 1, threads).everyone(&mut group, parameter);
            }
            group.finish();
        }
    }
}

fn by_number_of_policies(c: &mut Criterion) {
    for path in [Path::Admitted, Path::Denied] {
        let mut group = c.benchmark_group(format!("policies, {}", path.name()));
        for (parameter, count) in [("2", 2), ("4", 4)] {
            Workload::new(path, 1_000, Spread::Uniform, count, 1).everyone(&mut group, parameter);
        }
        group.finish();
    }
}

/// The last group, because ten million keys take gigabytes and a while to prepare.
fn ten_million_keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("admitted, 1 threads");
    let workload = Workload::new(Path::Admitted, 10_000_000, Spread::Uniform, 1, 1);
    workload.everyone(&mut group, "10000000");
    group.finish();
}

criterion_group!(benches, by_number_of_keys, by_number_of_policies, ten_million_keys);
criterion_main!(benches);
