//! Compares the memory store with the exact model over many random steps.
//!
//! ```text
//! cargo run --release -p rate-limit-memory --example model_run -- [steps] [seed]
//! ```
//!
//! Ten million steps by default. The exit code is 0 if there was no violation, 1 if there was one,
//! and 2 if an argument is not a number.

#![allow(clippy::expect_used, reason = "a program for developers")]

use std::process::ExitCode;

use rate_limit_core::ManualClock;
use rate_limit_core::conformance::random_steps;
use rate_limit_memory::MemoryRepository;

/// The cap is far above what the steps need, so nothing is evicted.
fn fresh(clock: ManualClock) -> MemoryRepository<ManualClock> {
    MemoryRepository::builder().clock(clock).build().expect("the default cap is accepted")
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| match arguments.next() {
        None => Some(default),
        Some(text) => text.replace('_', "").parse().ok(),
    };
    let (Some(steps), Some(seed)) = (number(10_000_000), number(20_260_101)) else {
        eprintln!("usage: model_run [steps] [seed]; both are whole numbers");
        return ExitCode::from(2);
    };
    match random_steps(&fresh, seed, steps) {
        Ok(run) => {
            println!("steps      {}", run.steps);
            println!("seed       {}", run.seed);
            println!("allowed    {}", run.allowed);
            println!("denied     {}", run.denied);
            println!("settled    {}", run.settled);
            println!("violations 0");
            ExitCode::SUCCESS
        }
        Err(divergence) => {
            println!("steps      {}", divergence.step);
            println!("seed       {seed}");
            println!("violations 1");
            eprintln!("{divergence}");
            ExitCode::FAILURE
        }
    }
}
