//! What the layer adds to a request, with the contenders taking turns.
//!
//! ```text
//! cargo bench -p rate-limit-benches --bench layer_turns [-- ROUNDS]
//! ```
//!
//! A turn takes less than a millisecond; `turns` in the library says why there are any.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::convert::Infallible;
use std::hint::black_box;

use axum::body::Body;
use http::{Request, Response};
use rate_limit_benches::turns::{now, tenth};
use tower::{Layer, Service};

#[path = "../contenders/layers.rs"]
mod layers;

/// Requests in a turn.
const REQUESTS: u32 = 1_000;

/// A contender: takes a turn, and says how many nanoseconds one request took.
type Turn = Box<dyn FnMut() -> f64>;

/// A contender of which it is known how its responses look.
fn contender<S, B>(mut service: S, status: u16, fields: usize) -> Turn
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + 'static,
{
    layers::warm_up(&mut service);
    let mut requests = layers::Requests::default();
    let response = layers::serve(&mut service, requests.next());
    assert_eq!((response.status().as_u16(), response.headers().len()), (status, fields));
    Box::new(move || {
        let begin = now();
        for _ in 0..REQUESTS {
            black_box(layers::serve(&mut service, requests.next()));
        }
        begin.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
    })
}

/// The first contender is the service alone, the second the peer: what they add is compared.
fn rows(title: &str, contenders: &mut [(&str, Turn)], rounds: usize) {
    let mut turns = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (turns, (_, contender)) in turns.iter_mut().zip(contenders.iter_mut()) {
            turns.push(contender());
        }
    }
    let times: Vec<f64> = turns.iter_mut().map(|turns| tenth(turns).unwrap()).collect();
    println!("{title}: {} alone takes {:.0} ns", contenders[0].0, times[0]);
    for ((name, _), time) in contenders.iter().zip(&times).skip(1) {
        let (added, theirs) = (time - times[0], times[1] - times[0]);
        println!("  {name:20} adds {added:8.0} ns = {:.2} x {}", added / theirs, contenders[1].0);
    }
}

fn main() {
    // Cargo passes an option of its own.
    let rounds = std::env::args().skip(1).find_map(|one| one.parse().ok()).unwrap_or(1_000);
    let admitted = &mut [
        ("bare", contender(layers::bare(), 200, 0)),
        ("tower_governor", contender(layers::theirs().layer(layers::bare()), 200, 2)),
        ("the least", contender(layers::least(layers::bare()), 200, 5)),
        ("ours", contender(layers::ours().layer(layers::bare()), 200, 5)),
        ("ours, silent", contender(layers::ours_silent().layer(layers::bare()), 200, 5)),
    ];
    rows("admitted", admitted, rounds);
    let in_axum = &mut [
        ("router", contender(layers::router(), 200, 2)),
        ("tower_governor", contender(layers::router().layer(layers::theirs()), 200, 4)),
        ("ours", contender(layers::router().layer(layers::ours()), 200, 7)),
        ("ours, silent", contender(layers::router().layer(layers::ours_silent()), 200, 7)),
    ];
    rows("admitted in axum", in_axum, rounds);
    let denied = &mut [
        ("bare", contender(layers::bare(), 200, 0)),
        ("tower_governor", contender(layers::theirs_exceeded().layer(layers::bare()), 429, 4)),
        ("ours", contender(layers::ours_exceeded().layer(layers::bare()), 429, 8)),
    ];
    rows("denied", denied, rounds / 10);
}
