//! A hyper service without any framework: 10 requests per minute and client address.
//!
//! ```sh
//! cargo run --example hyper_service                  # 127.0.0.1:3000
//! cargo run --example hyper_service 127.0.0.1:3001   # or set ADDR
//! ```

use std::convert::Infallible;
use std::pin::pin;
use std::process::ExitCode;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rate_limit_examples::{Ended, announce, ctrl_c, listen};
use rate_limit_tower::{PeerAddress, RateLimitLayer, RateLimitPolicy};
use tower::{Layer, ServiceExt, service_fn};

const HINT: &str = "\
Try:

  curl -i {url}/

And to see a 429 after 10 requests, over HTTP/1 or HTTP/2 alike:

  for i in $(seq 12); do curl -so /dev/null -w '%{http_code} ' {url}/; done; echo
  curl -i --http2-prior-knowledge {url}/";

#[tokio::main]
async fn main() -> ExitCode {
    rate_limit_examples::run(example()).await
}

async fn example() -> Ended {
    let limit = RateLimitLayer::in_memory().per_ip(RateLimitPolicy::per_minute(10)).build()?;
    // Made once: all clones of this service, hence all connections, share their buckets.
    let service = limit.layer(service_fn(hello));

    let listener = listen().await?;
    announce(&listener, HINT)?;
    let mut stopped = pin!(ctrl_c());
    loop {
        let (stream, peer) = tokio::select! {
            // In this order, so that Ctrl-C is heard from the first connection on.
            biased;
            () = &mut stopped => return Ok(()),
            accepted = listener.accept() => accepted?,
        };
        // hyper tells nobody who is connected, so whoever accepts has to.
        let service = service.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddress(peer));
            request
        });
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(service);
            // A connection that breaks is the client's business.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new("Hello! Look at the headers.\n".into()))
}
