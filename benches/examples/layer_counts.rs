//! What one request through each of the layers costs in allocations, and under `callgrind` in
//! instructions. Type next, for one contender or for all:
//!
//! ```sh
//! cargo run --profile bench -p rate-limit-benches --example layer_counts
//! cargo run --profile bench -p rate-limit-benches --example layer_counts -- ours
//! ```
//!
//! For instructions, run the program under `valgrind --tool=callgrind --toggle-collect='*counted*'`
//! with the name of a contender and divide by the 1,000 requests that it makes.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that measures"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use http::{Request, Response};
use tower::{Layer, Service};

#[path = "../contenders/layers.rs"]
mod layers;

const REQUESTS: u64 = 1_000;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// So many requests. Never inlined, so that callgrind can tell them from what comes before.
#[inline(never)]
fn counted<S, B>(service: &mut S) -> u64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut requests = layers::Requests::default();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..REQUESTS {
        black_box(layers::serve(service, requests.next()));
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

fn count<S, B>(wanted: Option<&str>, name: &str, mut service: S)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    if wanted.is_none_or(|wanted| wanted == name) {
        layers::warm_up(&mut service);
        let allocations = counted(&mut service) / REQUESTS;
        println!("{name:24} {allocations} allocations");
    }
}

fn main() {
    let wanted = std::env::args().nth(1);
    let wanted = wanted.as_deref();
    count(wanted, "bare", layers::bare());
    count(wanted, "ours", layers::ours().layer(layers::bare()));
    count(wanted, "ours-silent", layers::ours_silent().layer(layers::bare()));
    count(wanted, "least", layers::least(layers::bare()));
    count(wanted, "theirs", layers::theirs().layer(layers::bare()));
    count(wanted, "ours-exceeded", layers::ours_exceeded().layer(layers::bare()));
    count(wanted, "theirs-exceeded", layers::theirs_exceeded().layer(layers::bare()));
    count(wanted, "router", layers::router());
    count(wanted, "router-ours", layers::router().layer(layers::ours()));
    count(wanted, "router-ours-silent", layers::router().layer(layers::ours_silent()));
    count(wanted, "router-theirs", layers::router().layer(layers::theirs()));
}
