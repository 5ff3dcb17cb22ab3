//! What the examples have in common: where they listen, what they print, and how they stop.
//!
//! `axum_quickstart` and `behind_proxy` do without, so that they can be copied as they are.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use axum::Router;
use tokio::net::TcpListener;

/// What an example ends with.
pub type Ended = Result<(), Box<dyn Error>>;

/// Runs an example to its end. What went wrong is one line, and exit code 1.
pub async fn run(example: impl Future<Output = Ended>) -> ExitCode {
    match example.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves `app` until Ctrl-C, after it has printed `hint` as [`announce`] does.
///
/// # Errors
///
/// The address cannot be listened on, or the server fails.
pub async fn serve(app: Router, hint: &str) -> Ended {
    let listener = listen().await?;
    announce(&listener, hint)?;
    // This is how the layer learns who is connected.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(ctrl_c()).await?;
    Ok(())
}

/// Listens where the first argument says, or else `ADDR`, or else on port 3000.
///
/// # Errors
///
/// The address cannot be listened on. The message says how to choose another one.
pub async fn listen() -> Result<TcpListener, String> {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let asked = arguments.next().or_else(|| std::env::var("ADDR").ok());
    let address = asked.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    TcpListener::bind(&address).await.map_err(|error| {
        let example = Path::new(&program).file_stem().unwrap_or_default().display();
        format!(
            "cannot listen on {address}: {error}; choose another address with \
             `cargo run --example {example} 127.0.0.1:3001` or with the variable ADDR"
        )
    })
}

/// Prints where the program listens and then `hint`: what to type next. In it, `{url}` stands for
/// the address, such as `http://127.0.0.1:3000`.
///
/// # Errors
///
/// The operating system does not know the address.
pub fn announce(listener: &TcpListener, hint: &str) -> Ended {
    let url = format!("http://{}", listener.local_addr()?);
    println!("Listening on {url}. Stop with Ctrl-C.\n\n{}", hint.replace("{url}", &url));
    Ok(())
}

/// Ends at Ctrl-C.
pub async fn ctrl_c() {
    // Without a way to hear of Ctrl-C, the program runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
