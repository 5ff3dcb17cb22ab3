//! `/auth`, as proxies ask it.

use crate::client::Answer;
use crate::server::{Files, Server};

const RULES: &str = r#"
[[rule]]
name = "login"
methods = ["POST"]
paths = "/login"
limit = { limit = 2, window = "1h", algorithm = "fixed_window" }

[[rule]]
name = "per-key"
paths = "/api/{*rest}"
host = "api.example.com"
key = "api_key"
limit = { limit = 1, window = "1h", algorithm = "fixed_window" }
"#;

fn server(identity: &str) -> (Server, Files) {
    let files = Files::new();
    let file = files.write("limits.toml", &format!("{identity}\n{RULES}"));
    (Server::start(&["--config", &file]), files)
}

fn behind_a_proxy() -> (Server, Files) {
    server(
        "[identity]\ntrusted_proxies = [\"127.0.0.1\"]\nforwarding_header = \"x-forwarded-for\"\n",
    )
}

fn ask(server: &Server, path: &str, fields: &[(&str, &str)]) -> Answer {
    server.client().send(&format!("GET {path}"), fields, b"")
}

fn nginx<'a>(method: &'a str, uri: &'a str, client: &'a str) -> [(&'a str, &'a str); 3] {
    [("x-original-method", method), ("x-original-uri", uri), ("x-forwarded-for", client)]
}

#[test]
fn method_path_and_client_are_those_of_the_proxied_request() {
    let (server, _files) = behind_a_proxy();
    let login = |client| ask(&server, "/auth", &nginx("POST", "/login?next=/", client));
    let first = login("203.0.113.9");
    assert_eq!(first.status, 200);
    assert_eq!(first.field("x-ratelimit-remaining"), Some("1"));
    assert!(first.body.is_empty());
    assert_eq!(login("203.0.113.9").status, 200);
    let denied = login("203.0.113.9");
    assert_eq!(denied.status, 429);
    assert!(denied.field("retry-after").is_some() && denied.field("ratelimit").is_some());
    assert_eq!(denied.json()["violated-policies"][0], "login");
    assert_eq!(login("203.0.113.10").status, 200, "another client");
    let other = ask(&server, "/auth", &nginx("GET", "/login", "203.0.113.9"));
    assert_eq!((other.status, other.field("x-ratelimit-limit")), (200, None), "another method");
    // Other spellings of the path are the same path.
    for path in ["/login/", "//login", "/./login", "/%6Cogin"] {
        assert_eq!(
            ask(&server, "/auth", &nginx("POST", path, "203.0.113.9")).status,
            429,
            "{path}"
        );
    }
}

#[test]
fn traefik_names_them_otherwise() {
    let (server, _files) = behind_a_proxy();
    let fields = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/api/things"),
        ("x-forwarded-host", "api.example.com"),
        ("x-api-key", "key-of-the-client"),
    ];
    assert_eq!(ask(&server, "/auth", &fields).status, 200);
    assert_eq!(ask(&server, "/auth", &fields).status, 429);
    let mut elsewhere = fields;
    elsewhere[2] = ("x-forwarded-host", "www.example.com");
    assert_eq!(ask(&server, "/auth", &elsewhere).field("x-ratelimit-limit"), None);
}

/// nginx hands on what no target has; such a request is no other one, and falls out of no rule.
#[test]
fn stray_characters_make_no_other_request() {
    let (server, _files) = behind_a_proxy();
    let status = |uri: &[u8]| {
        let head = [
            b"GET /auth?denied=403 HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.9\r\n\
              x-original-method: POST\r\nx-original-uri: "
                .as_slice(),
            uri,
            b"\r\n\r\n",
        ];
        let mut client = server.client();
        client.send_raw(&head.concat());
        client.answer().unwrap().status
    };
    assert_eq!([status(b"/login"), status(b"/login")], [200, 200]);
    for stray in 1..=u8::MAX {
        // These end a field.
        if [b'\n', b'\r'].contains(&stray) {
            continue;
        }
        // A query is none of the path; `#` begins what is no part of a target.
        let uri = [b"/login?".as_slice(), &[stray], b"x"].concat();
        let is_control = stray < b' ' && stray != b'\t' || stray == 0x7F;
        let expected = if is_control { 400 } else { 403 };
        assert_eq!(status(&uri), expected, "{stray:#x}");
    }
    assert_eq!(status(b"/log<in"), 200, "this is another path");
}

/// Envoy asks with its client's method, host and target, the latter behind ours.
#[test]
fn envoy_puts_the_target_behind_the_path() {
    let (server, _files) = behind_a_proxy();
    let ask = |line: &str, client| server.client().send(line, &[("x-forwarded-for", client)], b"");
    let login = |client| ask("POST /auth/login?denied=403", client);
    assert_eq!(login("203.0.113.9").field("x-ratelimit-remaining"), Some("1"));
    assert_eq!(login("203.0.113.9").status, 200);
    let denied = login("203.0.113.9");
    assert_eq!(
        (denied.status, denied.field("x-auth-status")),
        (429, None),
        "a query is the client's"
    );
    assert!(denied.field("retry-after").is_some());
    assert_eq!(login("203.0.113.10").status, 200, "another client");
    for path in ["login/", "/login", "./login", "%6Cogin", "../login", "a/../login"] {
        let line = format!("POST /auth/{path}");
        assert_eq!(ask(&line, "203.0.113.9").status, 429, "{line}");
    }
    // The paths of the service are nothing else than the client's here.
    for line in ["GET /auth/", "GET /auth/?login", "GET /auth/metrics", "GET /auth/../metrics"] {
        let answer = ask(line, "203.0.113.9");
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{line}");
        assert_eq!(answer.field("x-ratelimit-limit"), None, "{line}");
    }
    // It is the same limit that other proxies ask for.
    let nginx = nginx("POST", "/login", "203.0.113.9");
    assert_eq!(self::ask(&server, "/auth", &nginx).status, 429);
}

#[test]
fn the_host_of_a_target_is_that_of_the_request() {
    let (server, _files) = behind_a_proxy();
    // The client says `limits.test`, so this rule is not for it.
    let key = ("x-api-key", "key-of-the-client");
    let elsewhere = server.client().send("GET /auth/api/things", &[key], b"");
    assert_eq!((elsewhere.status, elsewhere.field("x-ratelimit-limit")), (200, None));
    let mut client = server.client();
    let line = "GET http://api.example.com/auth/api/things";
    let statuses: Vec<u16> = (0..2).map(|_| client.send(line, &[key], b"").status).collect();
    assert_eq!(statuses, [200, 429]);
}

/// nginx understands no other refusals than 401 and 403.
#[test]
fn a_proxy_chooses_the_status_by_which_requests_are_turned_away() {
    let (server, _files) = behind_a_proxy();
    let login = || ask(&server, "/auth?denied=403", &nginx("POST", "/login", "203.0.113.9"));
    assert_eq!([login().status, login().status], [200, 200]);
    let denied = login();
    assert_eq!((denied.status, denied.field("x-auth-status")), (403, Some("429")));
    assert!(denied.field("retry-after").is_some());
    assert_eq!(ask(&server, "/auth?denied=200", &nginx("GET", "/", "203.0.113.9")).status, 400);
}

/// Whoever names both has left one of them to the client, and nobody knows which.
#[test]
fn what_a_client_may_have_written_is_refused() {
    let (server, _files) = behind_a_proxy();
    let both =
        [nginx("GET", "/", "203.0.113.9").as_slice(), &[("x-forwarded-uri", "/login")]].concat();
    assert_eq!(ask(&server, "/auth", &both).status, 400);
    let twice =
        [nginx("GET", "/", "203.0.113.9").as_slice(), &[("x-original-uri", "/login")]].concat();
    assert_eq!(ask(&server, "/auth", &twice).status, 400);
    for fields in [
        &[][..],
        &[("x-original-uri", "/login")],
        &[("x-original-method", "POST")],
        &[("x-original-method", "PO ST"), ("x-original-uri", "/")],
        &[("x-original-method", "POST"), ("x-original-uri", "not a target")],
    ] {
        assert_eq!(ask(&server, "/auth", fields).status, 400, "{fields:?}");
    }
    for field in ["x-original-uri", "x-original-method", "x-forwarded-uri", "x-forwarded-method"] {
        assert_eq!(ask(&server, "/auth/login", &[(field, "/")]).status, 400, "{field}");
    }
}

/// A gRPC client is told in a response with status 200, which a proxy would take for leave.
#[test]
fn a_grpc_client_is_turned_away_with_a_status() {
    let (server, _files) = behind_a_proxy();
    let login = [
        nginx("POST", "/login", "203.0.113.9").as_slice(),
        &[("content-type", "application/grpc")],
    ]
    .concat();
    let statuses: Vec<u16> = (0..3).map(|_| ask(&server, "/auth", &login).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
}

/// Case K01 through the service: without trusted proxies no header changes whose bucket it is.
#[test]
fn k01_a_thousand_forged_headers_are_one_client() {
    let (server, _files) = server("");
    let mut client = server.client();
    let names = ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"];
    let mut admitted = 0;
    for number in 0..1_000_u32 {
        let address = format!("203.0.{}.{}", number / 250, number % 250);
        let value = if number % 5 == 2 { format!("for={address}") } else { address };
        let mut fields = vec![("x-original-method", "POST"), ("x-original-uri", "/login")];
        names.iter().for_each(|name| fields.push((name, &value)));
        let answer = client.send("GET /auth", &fields, b"");
        admitted += usize::from(answer.status == 200);
    }
    assert_eq!(admitted, 2);
}
