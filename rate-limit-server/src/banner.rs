//! What a newcomer reads: that it works, and what to type next.

use std::io::Write;
use std::net::SocketAddr;

/// Prints where the server listens, and a first question.
pub(crate) fn print(address: SocketAddr, store: &impl std::fmt::Display) {
    let url = format!("http://{address}");
    let question = r#"{"tenantId":"acme","key":"192.0.2.1","limit":5,"windowSeconds":60}"#;
    let text = format!(
        "Listening on {url}. Stop with Ctrl-C.\n\
         Counters are kept in {store}. Ask whether somebody may:\n\n  \
         curl -i {url}/check -d '{question}'\n\n\
         All of it is described in {url}/openapi.json\n",
    );
    // Not `println!`, which panics if nobody can read standard output.
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
