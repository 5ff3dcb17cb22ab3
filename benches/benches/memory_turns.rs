//! What `memory_decision` measures, with the contenders taking turns.
//!
//! ```text
//! cargo bench -p rate-limit-benches --bench memory_turns [-- ROUNDS]
//! ```
//!
//! A turn takes less than a millisecond, on two threads some ten; `turns` in the library says why
//! there are any.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::fmt;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::QuantaClock;
use rate_limit_benches::baseline::Floor;
use rate_limit_benches::turns::{now, tenth};
use rate_limit_benches::workload::Spread;
use rate_limit_benches::{Path, addresses, charges, decide, governor, policies};
use rate_limit_core::{Charges, Clock, RateLimitPolicy};
use rate_limit_memory::{
    MemoryRepository, MemoryRepositoryBuilder, SystemClock, TimeStampCounterClock,
};

/// Questions that one thread makes at a time, outside of what is measured.
const AT_A_TIME: usize = 64;

/// How often it does so in a turn.
const TIMES: usize = 100;

/// Questions of each of two threads in a turn.
const ON_TWO_THREADS: usize = 100_000;

/// A contender: takes a turn beginning with question number so-and-so, and says how many nanoseconds
/// one decision took.
type Turn<'a> = Box<dyn Fn(usize) -> f64 + 'a>;

fn nanos(time: Duration, decisions: usize) -> f64 {
    time.as_nanos() as f64 / decisions as f64
}

/// A contender that is asked about everybody first. It is told which thread asks.
fn contender<'a, K: Sync + 'a>(
    order: &'a [IpAddr],
    threads: usize,
    key: impl Fn(&IpAddr) -> K + 'a,
    ask: impl Fn(usize, &K) -> bool + Sync + 'a,
    everybody: &[IpAddr],
) -> Turn<'a> {
    for thread in 0..threads {
        everybody.iter().for_each(|address| {
            ask(thread, &key(address));
        });
    }
    if threads == 1 {
        return Box::new(move |start| alone(order, start, &key, &ask));
    }
    let questions: Vec<K> = order.iter().map(key).collect();
    Box::new(move |start| together(&questions, threads, start, &ask))
}

/// The questions of a request are new when they are asked, so they are made a few at a time.
fn alone<K>(
    order: &[IpAddr],
    start: usize,
    key: impl Fn(&IpAddr) -> K,
    ask: impl Fn(usize, &K) -> bool,
) -> f64 {
    let mut coming = order.iter().cycle().skip(start % order.len());
    let mut questions = Vec::with_capacity(AT_A_TIME);
    let mut asked = Duration::ZERO;
    for _ in 0..TIMES {
        questions.clear();
        questions.extend(coming.by_ref().take(AT_A_TIME).map(&key));
        let begin = now();
        for question in &questions {
            black_box(ask(0, black_box(question)));
        }
        asked += begin.elapsed();
    }
    nanos(asked, TIMES * AT_A_TIME)
}

/// All questions are made before, so that everybody asks all the time; the slowest thread counts.
///
/// Each thread has a processor of its own, and begins when all of them run: left to the operating
/// system they often run one after the other, and whoever is alone is fast.
fn together<K: Sync>(
    questions: &[K],
    threads: usize,
    start: usize,
    ask: &(impl Fn(usize, &K) -> bool + Sync),
) -> f64 {
    let processors = core_affinity::get_core_ids().unwrap();
    assert!(processors.len() >= threads, "{threads} threads need as many processors");
    let running = AtomicUsize::new(0);
    let turn = |thread: usize| {
        assert!(core_affinity::set_for_current(processors[thread]));
        let skipped = (start + thread * questions.len() / threads) % questions.len();
        let mut coming = questions.iter().cycle().skip(skipped);
        running.fetch_add(1, Ordering::Relaxed);
        while running.load(Ordering::Relaxed) < threads {
            std::hint::spin_loop();
        }
        let begin = now();
        for _ in 0..ON_TWO_THREADS {
            black_box(ask(thread, black_box(coming.next().unwrap())));
        }
        nanos(begin.elapsed(), ON_TWO_THREADS)
    };
    std::thread::scope(|scope| {
        let turn = &turn;
        let running: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || turn(thread))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).fold(0.0, f64::max)
    })
}

/// One row of the table: who asks, on how many threads, under how many policies.
#[derive(Clone, Copy)]
struct Workload {
    path: Path,
    keys: usize,
    spread: Spread,
    threads: usize,
    policies: usize,
    /// The path of all policies but the last.
    before: Path,
}

impl Workload {
    /// One policy on one thread.
    fn uniform(path: Path, keys: usize) -> Self {
        Self { path, keys, spread: Spread::Uniform, threads: 1, policies: 1, before: path }
    }

    /// The path of each policy.
    fn paths(self) -> impl Iterator<Item = Path> {
        std::iter::repeat_n(self.before, self.policies - 1).chain([self.path])
    }

    fn policies(self) -> Vec<Arc<RateLimitPolicy>> {
        let numbered = self.paths().enumerate();
        numbered
            .map(|(number, path)| policies(path, self.policies).unwrap()[number].clone())
            .collect()
    }

    /// A store for as many buckets again as there will be.
    fn store<C: Clock>(self, clock: C) -> MemoryRepositoryBuilder<C> {
        let max_keys = (self.keys * self.policies * 2).max(64);
        MemoryRepository::builder().clock(clock).max_keys(max_keys)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key{}", self.keys, if self.keys == 1 { "" } else { "s" })?;
        if self.spread == Spread::Zipf {
            f.write_str(" by Zipf")?;
        }
        if self.policies > 1 {
            write!(f, ", {} policies", self.policies)?;
        }
        write!(f, ", {}", self.path.name())?;
        if self.before != self.path {
            f.write_str(" by the last")?;
        }
        if self.threads > 1 { write!(f, ", {} threads", self.threads) } else { Ok(()) }
    }
}

/// A limiter for each policy, asked one after the other until one says no: whoever comes before has
/// then taken its unit in vain.
fn governors<'a>(workload: Workload, order: &'a [IpAddr], everybody: &[IpAddr]) -> Turn<'a> {
    let limiters: Vec<_> =
        workload.paths().map(|path| governor(path, QuantaClock::default())).collect();
    let ask = move |_, address: &IpAddr| limiters.iter().all(|one| one.check_key(address).is_ok());
    contender(order, workload.threads, |address| *address, ask, everybody)
}

/// A table for each policy, asked like the limiters of governor.
fn floors<'a>(workload: Workload, order: &'a [IpAddr], everybody: &[IpAddr]) -> Turn<'a> {
    let floor = |path: Path| {
        let (burst, interval_nanos) = path.floor_limit();
        Floor::new(TimeStampCounterClock::new(), workload.keys, burst, interval_nanos)
    };
    let floors: Vec<_> = workload.paths().map(floor).collect();
    let ask = move |_, address: &IpAddr| floors.iter().all(|one| one.decide(address));
    contender(order, workload.threads, |address| *address, ask, everybody)
}

fn ours<'a, C: Clock + 'a>(
    workload: Workload,
    order: &'a [IpAddr],
    store: MemoryRepositoryBuilder<C>,
    everybody: &[IpAddr],
) -> Turn<'a> {
    let policies = workload.policies();
    let store = store.build().unwrap();
    let given = move |address: &IpAddr| charges(*address, &policies);
    let ask = move |_, one: &Charges| decide(&store, one);
    contender(order, workload.threads, given, ask, everybody)
}

/// Ours with a store for each thread, so that they have nothing in common but the machine.
fn apart<'a>(workload: Workload, order: &'a [IpAddr], everybody: &[IpAddr]) -> Turn<'a> {
    let policies = workload.policies();
    let stores: Vec<_> = (0..workload.threads)
        .map(|_| workload.store(TimeStampCounterClock::new()).build().unwrap())
        .collect();
    let given = move |address: &IpAddr| charges(*address, &policies);
    let ask = move |thread: usize, one: &Charges| decide(&stores[thread], one);
    contender(order, workload.threads, given, ask, everybody)
}

fn row(workload: Workload, rounds: usize) {
    let (everybody, order) = (addresses(workload.keys), workload.spread.order(workload.keys));
    let order = &order;
    let on_counter = || workload.store(TimeStampCounterClock::new());
    let on_system = || workload.store(SystemClock::new());
    let contenders: [Turn<'_>; 7] = [
        governors(workload, order, &everybody),
        ours(workload, order, on_counter(), &everybody),
        ours(workload, order, on_system(), &everybody),
        ours(workload, order, on_counter().huge_pages(), &everybody),
        ours(workload, order, on_system().huge_pages(), &everybody),
        floors(workload, order, &everybody),
        apart(workload, order, &everybody),
    ];
    let mut turns = [const { Vec::new() }; 7];
    for round in 0..rounds {
        for (turns, contender) in turns.iter_mut().zip(&contenders) {
            turns.push(contender(round * AT_A_TIME * TIMES));
        }
    }
    let [governor, counter, system, huge_counter, huge_system, floor, apart] =
        turns.map(|mut turns| tenth(&mut turns).unwrap());
    println!(
        "| {workload} | {governor:.1} ns | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
        counter / governor,
        system / governor,
        huge_counter / governor,
        huge_system / governor,
        floor / governor,
        counter / floor,
        counter / apart,
    );
}

fn main() {
    let rounds: usize = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(200);
    println!(
        "| workload | governor, counter | ours, counter | ours, OS clock | huge pages, counter | huge pages, OS clock | floor, counter | ours / floor | ours / ours apart |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let million = 1_000_000;
    for threads in [1, 2] {
        let rounds = if threads == 1 { rounds } else { rounds.div_ceil(4) };
        for path in [Path::Admitted, Path::Denied] {
            for keys in [1, 1_000, million] {
                row(Workload { threads, ..Workload::uniform(path, keys) }, rounds);
            }
            let spread = Spread::Zipf;
            row(Workload { threads, spread, ..Workload::uniform(path, million) }, rounds);
        }
    }
    let [admitted, denied] = [Path::Admitted, Path::Denied];
    for (path, before) in [(admitted, admitted), (denied, denied), (denied, admitted)] {
        for policies in [2, 4] {
            row(Workload { policies, before, ..Workload::uniform(path, 1) }, rounds);
        }
    }
    row(Workload::uniform(Path::Admitted, 10 * million), rounds);
}
