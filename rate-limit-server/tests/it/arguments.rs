//! Arguments, addresses and tokens that are refused, and rules files that are only looked at.

use std::net::TcpListener;

use crate::server::{Files, Server, TOKEN, program, run};

fn refused(arguments: &[&str], variables: &[(&str, &str)], code: i32) -> String {
    let output = run(arguments, variables);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(output.stdout.is_empty());
    error
}

/// Case V01, promise G19.
#[test]
fn v01_an_address_off_loopback_without_a_token_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:0.0.0.0]:0"] {
        let error = refused(&["--listen", address], &[], 2);
        assert!(error.contains("RATE_LIMIT_TOKEN") && error.contains("127.0.0.1"), "{error}");
    }
    for address in ["127.0.0.1:0", "127.8.8.8:0", "[::ffff:127.0.0.1]:0"] {
        assert_eq!(Server::start(&["--listen", address]).get("/health").status, 200, "{address}");
    }
}

/// Case V01: off loopback everything that decides needs the token, too.
#[test]
fn v01_off_loopback_questions_need_the_token() {
    let server = Server::administered(&["--listen", "0.0.0.0:0"]);
    let body = r#"{"tenantId":"acme","key":"k","limit":5,"windowSeconds":60}"#;
    let without = server.post("/check", body);
    assert_eq!((without.status, without.field("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(server.administer("POST /check", &[], body).status, 200);
    // Whoever watches the process needs none, and learns nothing of clients.
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn a_short_token_is_refused_and_not_repeated() {
    let error = refused(&[], &[("RATE_LIMIT_TOKEN", "secret-but-short")], 2);
    assert!(error.contains("16 bytes; expected 32"), "{error}");
    assert!(!error.contains("secret-but-short"), "{error}");
    let files = Files::new();
    let file = files.write("token", &format!("{TOKEN}\n"));
    let server = Server::start(&["--token-file", &file]);
    assert_eq!(server.get("/health").status, 200);
    let missing = refused(&["--token-file", "/nowhere/token"], &[], 2);
    assert!(missing.contains("/nowhere/token"), "{missing}");
}

/// A flag that cannot be used is told with its name, its value and what was expected.
#[test]
fn a_value_that_is_none_is_told_with_what_was_expected() {
    let times = ["", "soon", "10", "-1s", "24h 1ms", "500000000000y", "99999999999999999999s"];
    let times = ["--grace", "--head-timeout", "--idle-timeout"]
        .into_iter()
        .flat_map(|flag| times.map(|value| (flag, value, "such as 10s")));
    let none = ["--head-timeout", "--idle-timeout"].map(|flag| (flag, "0s", "from 1ms to a day"));
    let addresses = ["localhost:8080", "127.0.0.1", ":8080", "[::1]", "-1", "127.0.0.1:65536"]
        .map(|value| ("--listen", value, "an IP address and a port, such as 127.0.0.1:8080"));
    let counts = ["0", "-1", "many", "1000001", "1e3", "4294967296"]
        .map(|value| ("--max-connections", value, "a whole number from 1 to 1000000"));
    let words =
        [("--log", "loud", "error, warn, info, debug"), ("--ready-when", "ever", "process, store")];
    for (flag, value, expected) in times.chain(none).chain(addresses).chain(counts).chain(words) {
        let error = refused(&[flag, value], &[], 2);
        assert!(error.contains(flag) && error.contains(expected), "{flag} {value}: {error}");
        assert!(error.contains(&format!("'{value}'")), "{flag} {value}: {error}");
    }
}

/// The longest times that are accepted can be waited for.
#[test]
fn times_of_a_day_are_times() {
    let day = "24h";
    let times = ["--head-timeout", day, "--idle-timeout", day, "--grace", day];
    let server = Server::start(&times);
    let mut client = server.client();
    assert_eq!(client.send("GET /health", &[], b"").status, 200);
    client.send_raw(b"GET /health HTTP/1.1\r\n");
    client.send_raw(b"host: a\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
    server.signal("TERM");
    assert!(client.is_closed());
    let (status, log) = server.ended();
    assert!(status.success() && !log.contains("panicked"), "{log}");
    // Without a request that would have to end.
    let server = Server::start(&["--grace", "0s"]);
    server.signal("TERM");
    assert!(server.ended().0.success());
}

#[test]
fn a_port_that_is_taken_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = refused(&["--listen", &address], &[], 1);
    assert!(error.lines().count() == 1 && error.contains(&address), "{error}");
    assert!(error.contains("--listen"), "{error}");
}

#[test]
fn a_store_that_cannot_be_opened_is_named_without_its_password() {
    for url in ["redis://user:hunter22@[::1", "carrier-pigeon://user:hunter22@roof"] {
        let error = refused(&["--store", url], &[], 2);
        assert!(error.contains("expected") && !error.contains("hunter22"), "{error}");
    }
    let error = refused(&["--store", "carrier-pigeon://roof"], &[], 2);
    assert!(error.starts_with("--store: store.url: "), "{error}");
}

/// What looking finds right must not be refused by the start.
#[test]
fn check_refuses_the_stores_that_a_start_refuses() {
    for (url, named) in [
        ("redis://127.0.0.1:99999", "99999"),
        ("redis+sentinel://127.0.0.1:1", "names no master"),
        ("unix://relative", "relative"),
        ("redis://127.0.0.1/x", "number"),
    ] {
        let said = refused(&["--check", "--store", url], &[], 2);
        assert!(said.contains(named), "{said}");
        assert_eq!(refused(&["--store", url], &[], 2), said);
    }
    let few = [("RATE_LIMIT__STORE__MAX_KEYS", "5")];
    let said = refused(&["--check"], &few, 2);
    assert!(said.contains("max_keys = 5") && said.contains("expected 64"), "{said}");
    assert_eq!(refused(&[], &few, 2), said);
    // Nothing is opened or connected to.
    for url in ["redis://127.0.0.1:1", "sqlite:///nowhere/limits.db"] {
        assert_eq!(run(&["--check", "--store", url], &[]).status.code(), Some(0), "{url}");
    }
    refused(&["--store", "sqlite:///nowhere/limits.db"], &[], 1);
}

#[test]
fn a_newcomer_reads_what_to_type_next() {
    let server = Server::start(&[]);
    let banner = &server.banner;
    assert!(banner.starts_with(&format!("Listening on http://{}", server.address)), "{banner}");
    assert!(banner.contains("curl -i http://") && banner.contains("memory://"), "{banner}");
    assert!(banner.lines().count() <= 7, "{banner}");
}

#[test]
fn check_prints_the_effective_rates() {
    let files = Files::new();
    let text = "[[rule]]\nname = \"login\"\npaths = \"/login\"\nlimit = \"5/min\"\n";
    let file = files.write("limits.toml", text);
    let output =
        run(&["--check", "--config", &file], &[("RATE_LIMIT__RULE__LOGIN__LIMIT", "6/min")]);
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected =
        "login: 6 per minute per ip, then 1 every 10 s\n    on /login\nstore: memory://\n";
    assert_eq!(printed, expected, "the variable wins");
}

/// Every file of which it is known what is wrong with it, through the program: the same words, and the
/// exit code for what is to be corrected.
#[test]
fn check_refuses_every_broken_file_with_its_message() {
    let broken = concat!(env!("CARGO_MANIFEST_DIR"), "/../rate-limit-config/tests/broken");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(broken).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let variables = text.lines().filter_map(|line| line.strip_prefix("# environment: "));
        let variables = variables.map(|line| line.split_once('=').unwrap());
        let mut program = program();
        program.current_dir(broken).envs(variables).args(["--check", "--config"]);
        let output = program.arg(path.file_name().unwrap()).output().unwrap();
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected, "{path:?}");
        assert_eq!(output.status.code(), Some(2), "{path:?}");
        assert!(output.stdout.is_empty(), "{path:?}");
        looked_at += 1;
    }
    assert!(looked_at >= 40, "{looked_at} files");
}
