//! Several processes that share one limit.
//!
//! This program starts itself anew as a worker for each process, so that nothing but Redis is
//! shared. Workers do what they read from their input, line by line, and answer line by line.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

#[path = "processes/exactness.rs"]
mod exactness;
#[path = "processes/parent.rs"]
mod parent;
#[path = "processes/worker.rs"]
mod worker;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(worker::ROLE) {
        let url = arguments.next().expect("the URL of the server");
        return worker::run(&url);
    }
    for (name, test) in [
        ("three_instances_share_one_limit", exactness::three_instances as fn()),
        ("c04_saturated_from_four_processes", exactness::c04_saturated),
        ("c04_a_store_that_reads_then_writes_is_caught", exactness::c04_broken),
    ] {
        test();
        println!("test {name} ... ok");
    }
}
