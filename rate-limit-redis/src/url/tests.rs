use proptest::prelude::*;

use super::*;

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

fn place(url: &str) -> Place {
    RedisUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")).place
}

fn refused(url: &str) -> String {
    RedisUrl::parse(url).expect_err(url).to_string()
}

#[test]
fn each_form_points_at_its_place() {
    let redis = |host: &str, port| Place::Server(endpoint(host, port));
    assert_eq!(place("redis://localhost"), redis("localhost", 6379));
    assert_eq!(place("redis://127.0.0.1:7000/"), redis("127.0.0.1", 7000));
    assert_eq!(place("redis://[::1]:7000"), redis("::1", 7000));
    assert_eq!(place("redis://[::1]"), redis("::1", 6379));
    assert_eq!(place("unix:///run/redis.sock"), Place::Socket("/run/redis.sock".into()));
    assert_eq!(
        place("redis+sentinel://a,b:1,[::2]:3/main"),
        Place::Sentinel {
            sentinels: vec![endpoint("a", 26379), endpoint("b", 1), endpoint("::2", 3)],
            master: "main".to_owned(),
            credentials: Credentials::default(),
        }
    );
    assert_eq!(
        place("redis+cluster://a:1,b:2"),
        Place::Cluster { seeds: vec![endpoint("a", 1), endpoint("b", 2)] }
    );
}

#[test]
fn only_the_schemes_with_two_s_encrypt() {
    for (url, transport) in [
        ("redis://a", Transport::Plain),
        ("valkey://a", Transport::Plain),
        ("valkeys://a", Transport::Tls),
        ("rediss://a", Transport::Tls),
        ("redis+sentinel://a/m", Transport::Plain),
        ("rediss+sentinel://a/m", Transport::Tls),
        ("redis+cluster://a", Transport::Plain),
        ("rediss+cluster://a", Transport::Tls),
        ("unix:///a", Transport::Plain),
    ] {
        assert_eq!(RedisUrl::parse(url).unwrap().transport, transport, "{url}");
    }
}

#[test]
fn names_and_passwords_are_decoded_and_databases_chosen() {
    let url = RedisUrl::parse("redis://us%40er:p%2F%23%40:w@host:1/3").unwrap();
    assert_eq!(url.credentials.username.as_deref(), Some("us@er"));
    assert_eq!(url.credentials.password.as_ref().map(Secret::reveal), Some("p/#@:w"));
    assert_eq!(url.database, 3);
    let url = RedisUrl::parse("redis://:w@host").unwrap();
    assert_eq!((url.credentials.username, url.database), (None, 0));
    assert_eq!(RedisUrl::parse("unix://:w@/run/r.sock?db=4").unwrap().database, 4);
    let url = RedisUrl::parse(
        "redis+sentinel://u:w@a/main?db=5&sentinel_username=s&sentinel_password=t%26",
    )
    .unwrap();
    assert_eq!(url.database, 5);
    let Place::Sentinel { credentials, .. } = url.place else { panic!("not a sentinel") };
    assert_eq!(credentials.username.as_deref(), Some("s"));
    assert_eq!(credentials.password.as_ref().map(Secret::reveal), Some("t&"));
}

#[test]
fn errors_name_the_part_the_value_and_what_was_expected() {
    for (url, parts) in [
        ("localhost:6379", &["no scheme", "redis://127.0.0.1:6379"][..]),
        ("http://a", &["scheme `http`", "redis+sentinel"]),
        ("redis://", &["host is missing", "host:port"]),
        ("redis://a,b", &["one host", "redis+cluster"]),
        ("redis://a:70000", &["70000", "`a`", "1 to 65535"]),
        ("redis://a:0", &["port 0", "1 to 65535"]),
        ("redis://a b", &["`a b`", "brackets"]),
        ("redis://a/x", &["database `x`", "0 to 65535"]),
        ("redis://a/-1", &["database `-1`"]),
        ("redis://a?tls=yes", &["option `tls`", "sentinel_password"]),
        ("redis+sentinel://a?db=1&db=2", &["`db`", "twice"]),
        ("redis+sentinel://a/m?sentinel_password=a&b", &["name=value", "%26"]),
        ("redis+sentinel://a/m?sentinel_password=a&b=c", &["name=value", "%26"]),
        ("redis+sentinel://a:1", &["names no master", "/master-name"]),
        ("redis+cluster://a/3", &["database 0 only"]),
        ("unix://relative/path", &["absolute socket path", "unix:///"]),
        ("unix://", &["absolute socket path"]),
        ("redis://user@a", &["user name without a password", ":password@"]),
        ("rediss://a#insecure", &["`#`"]),
    ] {
        let error = refused(url);
        for part in parts {
            assert!(error.contains(part), "{url}: {error:?} does not contain {part:?}");
        }
    }
}

#[test]
fn no_mistake_brings_a_password_to_light() {
    for url in [
        "redis://:hunter2/@host",
        "redis://:hunter2#@host",
        "redis://:hun@ter2@host:x",
        "redis://:hunter2?@host",
        "redis://user:hunter2",
        "redis://user:hunter2/0",
        "http://:hunter2@host",
        "redis://:hunter2@host:70000",
        "redis://:hunter2@host/x",
        "redis://:hunter2@host?x=1",
        "redis://:hunter2%ff@host",
        "redis+sentinel://a/m?sentinel_password=hunter2&x=1",
        "redis+cluster://a?password=hunter2",
        "redis+cluster://a?password=abc&hunter2=x",
        "redis+sentinel://a/m?sentinel_password=abc&hunter2",
        "redis+sentinel://a/m?sentinel_password=abc&hunter2=x",
        "redis+sentinel://a/m?sentinel_password=abc&hunter2=&hunter2=x",
        "redis+sentinel://a/m?db=1&hunter2",
    ] {
        let error = RedisUrl::parse(url).expect_err(url);
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hunter2") && !text.contains("hun@"), "{url}: {text}");
        }
    }
    let url = RedisUrl::parse("redis+sentinel://u:hunter2@a/m?sentinel_password=hunter2").unwrap();
    assert!(!format!("{url:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(url in "\\PC{0,60}") {
        let _ = RedisUrl::parse(&url);
    }

    #[test]
    fn anything_behind_a_scheme_is_parsed_or_refused(
        scheme in "(redis|rediss|unix|redis\\+sentinel|redis\\+cluster)",
        rest in "[a-z0-9:/@?#,%&=\\[\\].]{0,40}",
    ) {
        let _ = RedisUrl::parse(&format!("{scheme}://{rest}"));
    }

    #[test]
    fn any_password_arrives(password in "\\PC{1,40}") {
        let encoded =
            percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let url = RedisUrl::parse(&format!("redis://:{encoded}@host")).unwrap();
        prop_assert_eq!(url.credentials.password.as_ref().map(Secret::reveal), Some(&*password));
    }
}
