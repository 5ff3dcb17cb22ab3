//! Connections that nobody uses end, however they are kept, and make room for others. Those that are
//! used do not.

use crate::http2::{ACK, DATA, END_STREAM, GOAWAY, Http2, Method, PING, PREFACE};
use crate::server::Server;

const QUESTION: &[u8] = br#"{"tenantId":"acme","key":"k","limit":1000000,"windowSeconds":60}"#;

/// A setting of HTTP/2.
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A server with one place, on which the next client waits for the end of the one before.
fn with_one_place(arguments: &[&str]) -> Server {
    Server::start(&[&["--max-connections", "1"], arguments].concat())
}

/// Waits until a connection has gone that nobody uses, on a server where those go soon.
fn until_others_have_gone(server: &Server) {
    assert!(server.client().is_closed());
}

#[test]
fn who_never_says_anything_makes_room() {
    let server = with_one_place(&["--idle-timeout", "200ms", "--head-timeout", "1h"]);
    let mut silent = server.client();
    assert_eq!(server.get("/health").status, 200);
    assert!(silent.is_closed());
}

/// A client that sends request after request and takes no answer.
#[test]
fn who_never_takes_an_answer_makes_room() {
    let server = with_one_place(&["--idle-timeout", "500ms", "--head-timeout", "1h"]);
    let mut deaf = server.client();
    // More than operating systems keep for a connection: 68 KB each.
    for _ in 0..1_000 {
        deaf.send_raw(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    assert_eq!(server.get("/health").status, 200);
}

/// The same in HTTP/2, where a client can take frames and leave no room for answers.
#[test]
fn who_leaves_no_room_for_an_answer_makes_room_for_others() {
    let server = with_one_place(&["--idle-timeout", "200ms", "--head-timeout", "200ms"]);
    let mut deaf = Http2::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]);
    deaf.ask(1, Method::Get, "/health");
    assert!(deaf.is_ok(1));
    assert_eq!(server.get("/health").status, 200);
    deaf.until(|frame| frame.kind == GOAWAY);
}

#[test]
fn http2_is_spoken_with_who_knows_that() {
    let server = Server::start(&[]);
    let mut client = Http2::connect(server.address, &[]);
    assert!(client.settings.contains(&(MAX_CONCURRENT_STREAMS, 128)), "{:?}", client.settings);
    client.ask(1, Method::Post, "/check");
    client.ask(3, Method::Get, "/health");
    assert!(client.is_ok(3), "before the other one has ended");
    client.send(DATA, END_STREAM, 1, QUESTION);
    assert!(client.is_ok(1));
    let body = client.until(|frame| frame.kind == DATA && frame.stream == 1).payload;
    assert!(body.starts_with(br#"{"allowed":true"#), "{}", String::from_utf8_lossy(&body));
}

/// Pings are no requests, whoever sends them.
#[test]
fn who_only_pings_is_told_to_go() {
    let server = Server::start(&["--idle-timeout", "200ms", "--head-timeout", "1h"]);
    let mut client = Http2::connect(server.address, &[]);
    client.ask(1, Method::Get, "/health");
    assert!(client.is_ok(1));
    while client.frame().expect("a word of goodbye").kind != GOAWAY {
        client.send(PING, 0, 0, b"are you?");
    }
    // A client that is polite acknowledges the server's last ping, and has seen everything then.
    while let Some(frame) = client.frame() {
        if frame.kind == PING && frame.flags != ACK {
            client.send(PING, ACK, 0, &frame.payload);
        }
    }
    assert!(client.is_closed());
}

/// A client that connects in order to ask later is idle, and not slow with a head.
#[test]
fn who_only_connects_is_idle() {
    let server = Server::start(&["--head-timeout", "50ms", "--idle-timeout", "20s"]);
    let mut early = Http2::connect(server.address, &[]);
    let mut slow = server.client();
    slow.send_raw(b"GET");
    assert!(slow.is_closed(), "so long have heads been given");
    let mut half = server.client();
    half.send_raw(&PREFACE[..20]);
    assert!(half.is_closed(), "nor is half a preface one");
    early.ask(1, Method::Get, "/health");
    assert!(early.is_ok(1));

    let server = Server::start(&["--idle-timeout", "200ms"]);
    let mut early = Http2::connect(server.address, &[]);
    early.until(|frame| frame.kind == GOAWAY);
}

/// Who neither acknowledges anything nor reads is not waited for, either.
#[test]
fn who_ignores_a_goodbye_makes_room() {
    let server = with_one_place(&["--idle-timeout", "100ms", "--head-timeout", "100ms"]);
    let mut client = Http2::connect(server.address, &[]);
    assert_eq!(server.get("/health").status, 200);
    client.until(|frame| frame.kind == GOAWAY);
    while client.frame().is_some() {}
}

/// A request that is under way is not idle, however long its body takes.
#[test]
fn who_is_being_answered_is_not_idle() {
    let server = Server::start(&["--idle-timeout", "100ms", "--head-timeout", "100ms"]);
    let mut first = server.client();
    let length = QUESTION.len();
    let head = format!(
        "POST /check HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    first.send_raw(head.as_bytes());
    assert_eq!(first.answer().unwrap().status, 100);
    let mut second = Http2::connect(server.address, &[]);
    second.ask(1, Method::Post, "/check");
    (0..3).for_each(|_| until_others_have_gone(&server));
    first.send_raw(QUESTION);
    assert_eq!(first.answer().unwrap().status, 200);
    second.send(DATA, END_STREAM, 1, QUESTION);
    assert!(second.is_ok(1));
}

/// The time begins anew with every request.
#[test]
fn who_asks_again_stays() {
    let server = Server::start(&["--idle-timeout", "1s", "--head-timeout", "1h"]);
    let mut busy = server.client();
    for _ in 0..2 {
        let mut idle = server.client();
        let gone = std::thread::spawn(move || idle.is_closed());
        while !gone.is_finished() {
            assert_eq!(busy.send("GET /health", &[], b"").status, 200);
        }
        assert!(gone.join().unwrap());
    }
}
