//! What does a request cost under ten rules, and under ten thousand? And how long do they take to
//! load?
//!
//! Requests go round through all rules, so that with many of them their tables do not stay in the
//! nearest cache. `passing` is the whole way of a request without a limit: finding out that no rule
//! applies is most of it. `limited` is the whole way of one that is charged.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::convert::Infallible;
use std::fmt::Write;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use rate_limit_config::{Configuration, Configured, ConfiguredLayer, Environment};
use rate_limit_memory::MemoryRepository;
use rate_limit_tower::PeerAddress;
use tower::{Layer, Service, service_fn};

const COUNTS: [usize; 3] = [10, 1_000, 10_000];

/// What the rules of a file name.
#[derive(Clone, Copy)]
enum Named {
    /// A path of its own each: in turn a text, a pattern, a prefix and one with a method.
    Paths,
    /// A host of its own each.
    Hosts,
}

impl Named {
    const fn name(self) -> &'static str {
        match self {
            Self::Paths => "paths",
            Self::Hosts => "hosts",
        }
    }
}

/// A rules file with so many rules.
fn file(named: Named, count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let matches = match (named, n % 4) {
            (Named::Hosts, _) => format!("host = \"host-{n}.example.com\""),
            (Named::Paths, 0) => format!("paths = \"/text/{n}\""),
            (Named::Paths, 1) => format!("paths = \"/pattern/{n}/{{id}}\""),
            (Named::Paths, 2) => format!("path_prefixes = \"/prefix/{n}\""),
            (Named::Paths, _) => format!("paths = \"/method/{n}\"\nmethods = \"GET\""),
        };
        write!(
            text,
            "[[rule]]\nname = \"rule-{n}\"\n{matches}\n\
             limit = {{ limit = 1000000, window = \"1s\", burst = 4000000000 }}\n"
        )
        .unwrap();
    }
    text
}

fn read(text: &str) -> Configuration {
    Configuration::from_toml("limits.toml", text, &Environment::empty()).unwrap()
}

fn layer(configuration: Configuration) -> ConfiguredLayer {
    let store = MemoryRepository::builder().build().unwrap();
    ConfiguredLayer::builder(store).without_fallback().build(configuration).unwrap()
}

/// Where a request for the rule `n` goes, as target and host.
fn goes_to(named: Named, n: usize) -> (String, String) {
    let path = match (named, n % 4) {
        (Named::Hosts, _) => return ("/".to_owned(), format!("host-{n}.example.com")),
        (Named::Paths, 0) => format!("/text/{n}"),
        (Named::Paths, 1) => format!("/pattern/{n}/some-id"),
        (Named::Paths, 2) => format!("/prefix/{n}/below"),
        (Named::Paths, _) => format!("/method/{n}"),
    };
    (path, "www.example.com".to_owned())
}

/// One request for each of some rules, evenly spread; or for what no rule names.
fn requests(named: Named, count: usize, is_limited: bool) -> Vec<Request<()>> {
    let rules = (0..count).step_by((count / 1_000).max(1));
    let request = |n| {
        let (path, host) = match (is_limited, named, goes_to(named, n)) {
            (true, _, to) => to,
            // As far into the tables as a path or host can lead that is in none.
            (false, Named::Paths, (path, host)) => {
                (path.replace(&n.to_string(), &format!("{n}x")), host)
            }
            (false, Named::Hosts, (path, host)) => (path, format!("x.{host}")),
        };
        let peer = PeerAddress(SocketAddr::from(([192, 0, 2, 1], 50_000)));
        Request::builder().uri(path).header("host", host).extension(peer).body(()).unwrap()
    };
    rules.map(request).collect()
}

type Inner =
    tower::util::ServiceFn<fn(Request<()>) -> std::future::Ready<Result<Response<()>, Infallible>>>;

fn inner() -> Inner {
    service_fn(|_| std::future::ready(Ok(Response::new(()))))
}

/// One request through a service that answers at once.
fn serve(service: &mut Configured<Inner>, request: Request<()>) -> usize {
    let context = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(())) = service.poll_ready(context) else { panic!("not ready") };
    match pin!(service.call(request)).poll(context) {
        Poll::Ready(Ok(response)) => response.headers().len(),
        _ => panic!("did not answer at once"),
    }
}

fn ask(c: &mut Criterion) {
    for (kind, is_limited) in [("passing", false), ("limited", true)] {
        for named in [Named::Paths, Named::Hosts] {
            let mut group = c.benchmark_group(format!("{kind}/{}", named.name()));
            for count in COUNTS {
                let mut service = layer(read(&file(named, count))).layer(inner());
                let requests = requests(named, count, is_limited);
                let fields = serve(&mut service, requests[0].clone());
                assert_eq!(fields, if is_limited { 5 } else { 0 }, "what is meant is measured");
                let mut next = (0..requests.len()).cycle();
                group.bench_function(BenchmarkId::from_parameter(count), |b| {
                    b.iter_batched(
                        || requests[next.next().unwrap()].clone(),
                        |request| black_box(serve(&mut service, request)),
                        BatchSize::SmallInput,
                    );
                });
            }
            group.finish();
        }
    }
}

fn load(c: &mut Criterion) {
    let mut group = c.benchmark_group("load");
    group.sample_size(10);
    for count in COUNTS {
        let text = file(Named::Paths, count);
        group.bench_function(BenchmarkId::new("read", count), |b| b.iter(|| read(&text)));
        let configuration = read(&text);
        let layer = layer(configuration.clone());
        group.bench_function(BenchmarkId::new("apply", count), |b| {
            b.iter_batched(
                || configuration.clone(),
                |configuration| layer.apply(configuration).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, ask, load);
criterion_main!(benches);
