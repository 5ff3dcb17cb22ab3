//! What does one decision in memory cost, beside governor's keyed limiter?
//!
//! Both start from a client's address and end with the answer. Governor reads the processor's
//! time-stamp counter (its default), we read the operating system's monotonic clock (ours).

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rate_limit_benches::{Path, addresses, decide, governor, policies};
use rate_limit_memory::MemoryRepository;

fn by_number_of_keys(c: &mut Criterion) {
    for path in [Path::Admitted, Path::Denied] {
        let mut group = c.benchmark_group(format!("keys/{}", path.name()));
        for count in [1, 1_000, 1_000_000] {
            let addresses = addresses(count);
            let limiter = governor(path);
            let mut turn = addresses.iter().cycle();
            addresses.iter().for_each(|address| drop(limiter.check_key(address)));
            group.bench_function(BenchmarkId::new("governor", count), |b| {
                b.iter(|| limiter.check_key(black_box(turn.next().unwrap())).is_ok());
            });
            drop(limiter);
            let policies = policies(path, 1).unwrap();
            let store = MemoryRepository::builder().max_keys(2_000_000).build().unwrap();
            let mut turn = addresses.iter().cycle();
            addresses.iter().for_each(|address| {
                decide(&store, *address, &policies);
            });
            group.bench_function(BenchmarkId::new("ours", count), |b| {
                b.iter(|| decide(&store, black_box(*turn.next().unwrap()), &policies));
            });
        }
        group.finish();
    }
}

/// Governor has no decision over several limits; asking several limiters one after the other is
/// what its users do. A denial by the second has then already cost a unit of the first.
fn by_number_of_policies(c: &mut Criterion) {
    for path in [Path::Admitted, Path::Denied] {
        let mut group = c.benchmark_group(format!("policies/{}", path.name()));
        let addresses = addresses(1_000);
        for count in [1, 2, 4] {
            let limiters: Vec<_> = (0..count).map(|_| governor(path)).collect();
            let mut turn = addresses.iter().cycle();
            let ask =
                |address| limiters.iter().filter(|one| one.check_key(address).is_ok()).count();
            addresses.iter().for_each(|address| {
                ask(address);
            });
            group.bench_function(BenchmarkId::new("governor", count), |b| {
                b.iter(|| ask(black_box(turn.next().unwrap())));
            });
            let policies = policies(path, count).unwrap();
            let store = MemoryRepository::new();
            let mut turn = addresses.iter().cycle();
            addresses.iter().for_each(|address| {
                decide(&store, *address, &policies);
            });
            group.bench_function(BenchmarkId::new("ours", count), |b| {
                b.iter(|| decide(&store, black_box(*turn.next().unwrap()), &policies));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, by_number_of_keys, by_number_of_policies);
criterion_main!(benches);
