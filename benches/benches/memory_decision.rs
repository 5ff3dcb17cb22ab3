//! What does one decision in memory cost, beside governor's keyed limiter?
//!
//! Governor is measured on the operating system's monotonic clock, which is what our store reads,
//! and on the processor's time-stamp counter, which is its default. Our store is given the charges
//! of a request, as governor is given its key; the rows `with charges` make them first, from the
//! client's address, as the layer does.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::net::IpAddr;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use governor::clock::{Clock, MonotonicClock, QuantaClock};
use rate_limit_benches::{Path, addresses, charges, decide, governor, policies};
use rate_limit_core::Charges;
use rate_limit_memory::MemoryRepository;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Governor has no decision over several limits; asking one limiter after the other is what its
/// users do. A denial by the second has then already cost a unit of the first.
fn governors<C: Clock + Clone>(
    group: &mut Group<'_>,
    id: BenchmarkId,
    (path, clock, policies): (Path, C, usize),
    addresses: &[IpAddr],
) {
    let limiters: Vec<_> = (0..policies).map(|_| governor(path, clock.clone())).collect();
    let ask = |address| limiters.iter().filter(|one| one.check_key(address).is_ok()).count();
    addresses.iter().for_each(|address| {
        ask(address);
    });
    let mut turn = addresses.iter().cycle();
    group.bench_function(id, |b| b.iter(|| ask(black_box(turn.next().unwrap()))));
}

fn ours(group: &mut Group<'_>, parameter: usize, path: Path, count: usize, addresses: &[IpAddr]) {
    let policies = policies(path, count).unwrap();
    let store = MemoryRepository::builder().max_keys(2_000_000).build().unwrap();
    addresses.iter().for_each(|address| {
        decide(&store, &charges(*address, &policies));
    });
    // The charges of a million requests would be measured more than the decisions on them.
    if addresses.len() <= 1_000 {
        let given: Vec<Charges> =
            addresses.iter().map(|address| charges(*address, &policies)).collect();
        let mut turn = given.iter().cycle();
        group.bench_function(BenchmarkId::new("ours", parameter), |b| {
            b.iter(|| decide(&store, black_box(turn.next().unwrap())));
        });
    }
    let mut turn = addresses.iter().cycle();
    group.bench_function(BenchmarkId::new("ours with charges", parameter), |b| {
        b.iter(|| decide(&store, &charges(black_box(*turn.next().unwrap()), &policies)));
    });
}

fn all(group: &mut Group<'_>, parameter: usize, path: Path, count: usize, addresses: &[IpAddr]) {
    let id = |name| BenchmarkId::new(name, parameter);
    governors(group, id("governor, OS clock"), (path, MonotonicClock, count), addresses);
    governors(group, id("governor, TSC"), (path, QuantaClock::default(), count), addresses);
    ours(group, parameter, path, count, addresses);
}

fn by_number_of_keys(c: &mut Criterion) {
    for path in [Path::Admitted, Path::Denied] {
        let mut group = c.benchmark_group(format!("keys, {}", path.name()));
        for count in [1, 1_000, 1_000_000] {
            all(&mut group, count, path, 1, &addresses(count));
        }
        group.finish();
    }
}

fn by_number_of_policies(c: &mut Criterion) {
    for path in [Path::Admitted, Path::Denied] {
        let mut group = c.benchmark_group(format!("policies, {}", path.name()));
        for count in [2, 4] {
            all(&mut group, count, path, count, &addresses(1_000));
        }
        group.finish();
    }
}

criterion_group!(benches, by_number_of_keys, by_number_of_policies);
criterion_main!(benches);
