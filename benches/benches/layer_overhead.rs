//! What does the layer add to a request, beside the bare service and beside `tower_governor` with
//! its header fields?
//!
//! The time of the bare service, which includes making the request, making the response and dropping
//! both, is the floor; what a layer adds is its time less that floor. The same is measured around a
//! router of axum, whose responses have fields of their own, and which boxes what a layer makes.
//! What exactly is compared stands in `contenders/layers.rs`.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::convert::Infallible;
use std::hint::black_box;

use axum::body::Body;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use tower::{Layer, Service};

#[path = "../contenders/layers.rs"]
mod layers;

use layers::{Requests, bare, router, serve, warm_up};

/// One contender, of which it is known how its responses look.
fn measure<S, B>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut service: S,
    status: u16,
    fields: usize,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    warm_up(&mut service);
    let mut requests = Requests::default();
    let response = serve(&mut service, requests.next());
    assert_eq!((response.status().as_u16(), response.headers().len()), (status, fields), "{name}");
    group.bench_function(name, |b| {
        b.iter(|| black_box(serve(&mut service, requests.next())));
    });
}

fn admitted(c: &mut Criterion) {
    let mut group = c.benchmark_group("admitted");
    measure(&mut group, "bare", bare(), 200, 0);
    measure(&mut group, "ours", layers::ours().layer(bare()), 200, 5);
    measure(&mut group, "ours, silent", layers::ours_silent().layer(bare()), 200, 5);
    measure(&mut group, "the least", layers::least(bare()), 200, 5);
    measure(&mut group, "tower_governor", layers::theirs().layer(bare()), 200, 2);
    group.finish();
}

fn denied(c: &mut Criterion) {
    let mut group = c.benchmark_group("denied");
    measure(&mut group, "ours", layers::ours_exceeded().layer(bare()), 429, 8);
    measure(&mut group, "tower_governor", layers::theirs_exceeded().layer(bare()), 429, 4);
    group.finish();
}

fn in_axum(c: &mut Criterion) {
    let mut group = c.benchmark_group("admitted in axum");
    measure(&mut group, "bare", router(), 200, 2);
    measure(&mut group, "ours", router().layer(layers::ours()), 200, 7);
    measure(&mut group, "ours, silent", router().layer(layers::ours_silent()), 200, 7);
    measure(&mut group, "tower_governor", router().layer(layers::theirs()), 200, 4);
    group.finish();
}

criterion_group!(benches, admitted, denied, in_axum);
criterion_main!(benches);
