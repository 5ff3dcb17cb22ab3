//! Connections and their ends.

use crate::server::Server;

const QUESTION: &[u8] = br#"{"tenantId":"acme","key":"k","limit":1000000,"windowSeconds":60}"#;

/// Case V09: what is under way is answered, nothing new is begun, and the process ends in time.
#[test]
fn v09_sigterm_under_load_ends_what_is_under_way() {
    let server = Server::start(&["--grace", "20s"]);
    // Requests whose bodies have begun, and not ended, when the signal comes.
    let mut under_way: Vec<_> = (0..50).map(|_| server.client()).collect();
    let head = format!(
        "POST /check HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        QUESTION.len()
    );
    for client in &mut under_way {
        client.send_raw(head.as_bytes());
        // The server asks for the body once it has begun with the request.
        assert_eq!(client.answer().unwrap().status, 100);
    }
    let mut idle = server.client();
    assert_eq!(idle.send("GET /health", &[], b"").status, 200);

    let address = server.address;
    server.signal("TERM");
    assert!(idle.is_closed(), "an idle connection is not kept");
    crate::server::until("nobody is let in any more", || {
        std::net::TcpStream::connect(address).is_err()
    });
    for client in &mut under_way {
        client.send_raw(QUESTION);
        assert_eq!(client.answer().expect("the answer of a request that had begun").status, 200);
    }
    let (status, log) = server.ended();
    assert!(status.success(), "{log}");
    assert!(log.contains("\"stopped\""), "{log}");
}

/// Case V09: whoever never ends does not keep the process alive for longer than the grace period.
#[test]
fn v09_the_grace_period_is_the_longest_wait() {
    let server = Server::start(&["--grace", "300ms"]);
    let mut endless = server.client();
    endless.send_raw(
        b"POST /check HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n",
    );
    assert_eq!(endless.answer().unwrap().status, 100);
    server.signal("INT");
    // Would wait for ever otherwise.
    let (status, log) = server.ended();
    assert!(status.success(), "{log}");
    assert!(log.contains("before all requests had ended"), "{log}");
}

/// Who sends a head byte by byte is cut off, however long connections may be idle; who is idle is not,
/// until that has lasted too long as well.
#[test]
fn a_slow_head_is_cut_off_and_an_idle_connection_later() {
    let server = Server::start(&["--head-timeout", "200ms", "--idle-timeout", "20s"]);
    let mut idle = server.client();
    assert_eq!(idle.send("GET /health", &[], b"").status, 200);
    let mut slow = server.client();
    slow.send_raw(b"GET /health HTTP/1.1\r\nhost: a\r\nx-slow: ");
    assert!(slow.is_closed());
    let mut second = server.client();
    assert_eq!(second.send("GET /health", &[], b"").status, 200);
    second.send_raw(b"G");
    assert!(second.is_closed(), "also the second head on a connection");
    assert_eq!(idle.send("GET /health", &[], b"").status, 200, "idle for longer than that");

    let server = Server::start(&["--idle-timeout", "200ms"]);
    let mut idle = server.client();
    assert_eq!(idle.send("GET /health", &[], b"").status, 200);
    assert!(idle.is_closed());
}

/// A body may take longer than a head.
#[test]
fn a_slow_body_is_not_a_slow_head() {
    let server = Server::start(&["--head-timeout", "50ms"]);
    let mut client = server.client();
    let head =
        format!("POST /check HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", QUESTION.len());
    client.send_raw(head.as_bytes());
    let mut others = server.client();
    others.send_raw(b"GET");
    assert!(others.is_closed(), "so long have heads been given");
    client.send_raw(QUESTION);
    assert_eq!(client.answer().unwrap().status, 200);
}

/// Connections beyond the cap wait until one ends, and none is turned away.
#[test]
fn connections_beyond_the_cap_wait() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut first = server.client();
    assert_eq!(first.send("GET /health", &[], b"").status, 200);
    let mut second = server.client();
    assert_eq!(second.send("GET /health", &[], b"").status, 200);
    let mut third = server.client();
    third.send_raw(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n");
    // The others are served meanwhile.
    for _ in 0..20 {
        assert_eq!(first.send("GET /health", &[], b"").status, 200);
    }
    drop(second);
    assert_eq!(third.answer().unwrap().status, 200);
}

#[test]
fn requests_carry_an_id() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let given = client.send("GET /health", &[("x-request-id", "01J9Z6Q8")], b"");
    assert_eq!(given.field("x-request-id"), Some("01J9Z6Q8"));
    let one = client.send("GET /health", &[], b"");
    let other = client.send("GET /health", &[("x-request-id", "line\tbreak")], b"");
    let drawn = |answer: &crate::client::Answer| answer.field("x-request-id").unwrap().to_owned();
    assert_ne!(drawn(&one), drawn(&other));
    assert!(!drawn(&other).contains('\t'));
}
