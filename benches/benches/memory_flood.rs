//! What a flood of strangers does to a store in memory: bytes, the slowest decisions, and a client
//! who is in debt.
//!
//! ```text
//! cargo bench -p rate-limit-benches --bench memory_flood [-- CAP STRANGERS]
//! ```
//!
//! A plain program, because averages say nothing here. The resident memory is what Linux reports.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use governor::clock::QuantaClock;
use rate_limit_benches::{Path, charges, decide, governor, policies};
use rate_limit_core::{Charge, Charges, ClientIdentity, RateLimitPolicy};
use rate_limit_memory::{MemoryRepository, TimeStampCounterClock};

/// Times in classes of one sixteenth, from a nanosecond on.
struct Times {
    counts: Vec<u64>,
    longest: u64,
    total: u64,
}

impl Times {
    fn new() -> Self {
        Self { counts: vec![0; 64 * 16], longest: 0, total: 0 }
    }

    fn add(&mut self, nanos: u64) {
        let nanos = nanos.max(1);
        let octave = nanos.ilog2() as usize;
        let part = ((u128::from(nanos) * 16) >> octave) as usize - 16;
        self.counts[octave * 16 + part] += 1;
        self.longest = self.longest.max(nanos);
        self.total += 1;
    }

    /// The upper end of the class in which `per_million` of a million times are passed.
    fn quantile(&self, per_million: u64) -> u64 {
        let rank = self.total * per_million / 1_000_000;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > rank {
                return ((class % 16 + 17) as u64) << (class / 16) >> 4;
            }
        }
        self.longest
    }

    fn row(&self, what: &str) {
        println!(
            "| {what} | {} | {} | {} | {} | {} |",
            self.quantile(500_000),
            self.quantile(990_000),
            self.quantile(999_000),
            self.quantile(999_900),
            self.longest
        );
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Asks about strangers number `from` to `to` and notes how long each answer takes.
fn time(from: u64, to: u64, mut ask: impl FnMut(IpAddr) -> bool) -> Times {
    let mut times = Times::new();
    for number in from..to {
        let address = stranger(number);
        let begin = now();
        ask(address);
        times.add(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times
}

/// Reads the clock and does nothing else for as long as `lasted`: what the machine does to any
/// program in that time.
fn nothing(lasted: Duration) -> Times {
    let mut times = Times::new();
    let start = now();
    let mut begin = start;
    while begin.duration_since(start) < lasted {
        let end = now();
        times.add(u64::try_from(end.duration_since(begin).as_nanos()).unwrap_or(u64::MAX));
        begin = end;
    }
    times
}

/// Each stranger comes from a /64 of its own.
fn stranger(number: u64) -> IpAddr {
    // Multiplying by an odd number permutes.
    Ipv6Addr::from(u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64).into()
}

fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) * 1_024.0
}

/// Bytes per key of a full store, and after a flood of `strangers`.
fn bytes(cap: usize, strangers: u64) {
    let empty = resident_bytes();
    let begin = now();
    let store = MemoryRepository::builder().max_keys(cap).build().unwrap();
    let built = begin.elapsed();
    let daily = policies(Path::Denied, 1).unwrap();
    let debtor = Charge::new(
        ClientIdentity::user("debtor").unwrap(),
        RateLimitPolicy::per_day(100).named("debt").build().unwrap().into(),
        100,
    );
    let debtor = Charges::one(debtor);
    assert!(decide(&store, &debtor), "the debtor takes all there is");
    let report = |strangers: u64, begin: Instant| {
        let per_key = (resident_bytes() - empty) / cap as f64;
        let kept = if decide(&store, &debtor) { "lost" } else { "still denied" };
        let each = begin.elapsed() / u32::try_from(strangers).unwrap();
        println!("| {cap} | {built:?} | {strangers} | {per_key:.1} | {each:?} | {kept} |");
    };
    let begin = now();
    for (number, report_at) in (1..=strangers).zip(std::iter::repeat(2 * cap as u64)) {
        decide(&store, &charges(stranger(number), &daily));
        if number == report_at || number == strangers {
            report(number, begin);
        }
    }
}

/// All buckets of a full store become as good as new at the same instant, and everybody comes back.
fn all_expire_together(cap: u64) -> Times {
    let clock = rate_limit_core::ManualClock::new();
    let builder = MemoryRepository::builder().clock(clock.clone());
    let store = builder.max_keys(cap as usize).build().unwrap();
    let policies = policies(Path::Denied, 1).unwrap();
    (0..cap).for_each(|number| {
        decide(&store, &charges(stranger(number), &policies));
    });
    clock.advance(Duration::from_secs(7_200));
    time(cap, 2 * cap, |address| decide(&store, &charges(address, &policies)))
}

fn main() {
    let numbers: Vec<u64> =
        std::env::args().skip(1).filter_map(|text| text.replace('_', "").parse().ok()).collect();
    let cap = numbers.first().copied().unwrap_or(1_000_000);
    let strangers = numbers.get(1).copied().unwrap_or(50_000_000);

    println!("| cap | built in | strangers | bytes per key of the cap | each | a client in debt |");
    println!("| --- | --- | --- | --- | --- | --- |");
    bytes(cap as usize, strangers);
    bytes(10 * cap as usize, 2 * 10 * cap);

    println!();
    println!("| nanoseconds for a stranger | p50 | p99 | p99.9 | p99.99 | longest |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let growing = 4 * cap;
    let policies = policies(Path::Denied, 1).unwrap();
    let store = MemoryRepository::builder()
        .clock(TimeStampCounterClock::new())
        .max_keys(cap as usize)
        .build()
        .unwrap();
    let begin = now();
    time(0, growing, |address| decide(&store, &charges(address, &policies)))
        .row("ours, from empty to four times the cap");
    let lasted = begin.elapsed();
    time(growing, 2 * growing, |address| decide(&store, &charges(address, &policies)))
        .row("ours, going on");
    all_expire_together(cap).row("ours, when all has expired at once");
    let limiter = governor(Path::Denied, QuantaClock::default());
    time(0, growing, |address| limiter.check_key(&address).is_ok()).row("governor, from empty");
    nothing(lasted).row("nothing, as long as the first");
}
