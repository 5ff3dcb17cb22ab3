//! What `memory_decision` measures of one policy, with the contenders taking turns.
//!
//! ```text
//! cargo bench -p rate-limit-benches --bench memory_turns [-- ROUNDS]
//! ```
//!
//! A turn takes less than a millisecond, on two threads some ten; `turns` in the library says why
//! there are any.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::QuantaClock;
use rate_limit_benches::baseline::Floor;
use rate_limit_benches::turns::{now, tenth};
use rate_limit_benches::workload::Spread;
use rate_limit_benches::{Path, addresses, charges, decide, governor, policies};
use rate_limit_core::{Charges, Clock};
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

/// A store for as many again as ask.
fn store<C: Clock>(clock: C, everybody: &[IpAddr]) -> MemoryRepositoryBuilder<C> {
    MemoryRepository::builder().clock(clock).max_keys((everybody.len() * 2).max(64))
}

fn ours<'a, C: Clock + 'a>(
    order: &'a [IpAddr],
    threads: usize,
    path: Path,
    store: MemoryRepositoryBuilder<C>,
    everybody: &[IpAddr],
) -> Turn<'a> {
    let policies = policies(path, 1).unwrap();
    let store = store.build().unwrap();
    let given = move |address: &IpAddr| charges(*address, &policies);
    contender(order, threads, given, move |_, one: &Charges| decide(&store, one), everybody)
}

/// Ours with a store for each thread, so that they have nothing in common but the machine.
fn apart<'a>(order: &'a [IpAddr], threads: usize, path: Path, everybody: &[IpAddr]) -> Turn<'a> {
    let policies = policies(path, 1).unwrap();
    let stores: Vec<_> = (0..threads)
        .map(|_| store(TimeStampCounterClock::new(), everybody).build().unwrap())
        .collect();
    let given = move |address: &IpAddr| charges(*address, &policies);
    let ask = move |thread: usize, one: &Charges| decide(&stores[thread], one);
    contender(order, threads, given, ask, everybody)
}

fn row(path: Path, keys: usize, spread: Spread, threads: usize, rounds: usize) {
    let (everybody, order) = (addresses(keys), spread.order(keys));
    let order = &order;
    let limiter = governor(path, QuantaClock::default());
    let ask = move |_, address: &IpAddr| limiter.check_key(address).is_ok();
    let (burst, interval_nanos) = path.floor_limit();
    let floor = Floor::new(TimeStampCounterClock::new(), keys, burst, interval_nanos);
    let on_counter = || store(TimeStampCounterClock::new(), &everybody);
    let on_system = || store(SystemClock::new(), &everybody);
    let contenders: [Turn<'_>; 7] = [
        contender(order, threads, |address| *address, ask, &everybody),
        ours(order, threads, path, on_counter(), &everybody),
        ours(order, threads, path, on_system(), &everybody),
        ours(order, threads, path, on_counter().huge_pages(), &everybody),
        ours(order, threads, path, on_system().huge_pages(), &everybody),
        contender(order, threads, |address| *address, move |_, one| floor.decide(one), &everybody),
        apart(order, threads, path, &everybody),
    ];
    let mut turns = [const { Vec::new() }; 7];
    for round in 0..rounds {
        for (turns, contender) in turns.iter_mut().zip(&contenders) {
            turns.push(contender(round * AT_A_TIME * TIMES));
        }
    }
    let [governor, counter, system, huge_counter, huge_system, floor, apart] =
        turns.map(|mut turns| tenth(&mut turns).unwrap());
    let spread = if spread == Spread::Zipf { " by Zipf" } else { "" };
    println!(
        "| {keys} keys{spread}, {}, {threads} threads | {governor:.1} ns | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
        path.name(),
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
                row(path, keys, Spread::Uniform, threads, rounds);
            }
            row(path, million, Spread::Zipf, threads, rounds);
        }
    }
    row(Path::Admitted, 10 * million, Spread::Uniform, 1, rounds);
}
