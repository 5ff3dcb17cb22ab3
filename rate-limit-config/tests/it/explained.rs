use super::{accepted, example};

/// What is said of one rule.
fn explained(rule: &str) -> String {
    accepted(&format!("[[rule]]\nname = \"api\"\n{rule}")).explain()
}

#[test]
fn limits_are_said_in_plain_words() {
    for (limit, said) in [
        ("\"5/min\"", "api: 5 per minute per ip, then 1 every 12 s\n"),
        ("\"100/s\"", "api: 100 per second per ip, then 1 every 10 ms\n"),
        ("\"1000000/s\"", "api: 1000000 per second per ip, then 1 every 1 us\n"),
        ("\"7/min\"", "api: 7 per minute per ip, then 1 every 8.571 s\n"),
        ("\"100/day\"", "api: 100 per day per ip, then 1 every 14m 24s\n"),
        ("\"10/30s\"", "api: 10 per 30s per ip, then 1 every 3 s\n"),
        (
            "{ limit = 100, window = \"1m\", burst = 20 }",
            "api: 100 per minute per ip, at most 20 at once, then 1 every 600 ms\n",
        ),
        (
            "{ limit = 100, window = \"1d\", algorithm = \"fixed_window\", alignment = \"utc\" }",
            "api: 100 per day per ip, in a window of the clock in UTC\n",
        ),
        (
            "{ limit = 100, window = \"1d\", algorithm = \"fixed_window\" }",
            "api: 100 per day per ip, in a window that begins with the first\n",
        ),
        (
            "{ limit = 100, window = \"1m\", algorithm = \"sliding_window\" }",
            "api: 100 per minute per ip, in a sliding window\n",
        ),
        (
            "{ limit = 100, window = \"1m\", algorithm = \"sliding_log\" }",
            "api: 100 per minute per ip, in any interval of that length\n",
        ),
        (
            "[\"10/s\", \"1000/day\"]",
            "api: 10 per second (then 1 every 100 ms) and 1000 per day (then 1 every 86.4 s) per ip\n",
        ),
    ] {
        assert_eq!(explained(&format!("limit = {limit}")), said);
    }
}

#[test]
fn the_example_is_explained() {
    assert_eq!(
        example().explain(),
        "\
login: 5 per minute per ip, then 1 every 12 s
    POST on /login, /users/{id}/password
    counts only requests whose response is not a success
    after 10 denials within 10m a ban of 1m, each further one 2 times as long, at most 1d; one step back for every 1h without
    while the store is away: 503 for all
card: 10 per second (then 1 every 100 ms) and 500 per day (in a window of the clock in UTC) per header x-card and ip
    on /cards and all below it
    tier premium: 50 per second (then 1 every 20 ms) and 5000 per day (in a window of the clock in UTC)
default: 100 per minute per user, at most 20 at once, then 1 every 600 ms
    units by method: DELETE 5, POST 5, any other 1
    tier anonymous: 60 per minute, at most 20 at once, then 1 every 1 s
    tier premium: 5000 per minute, then 1 every 12 ms
    tier standard: 1000 per minute, then 1 every 60 ms
everybody: 10000 per second for all together, then 1 every 100 us
    in group system
uploads: 1000 per hour per ip, then 1 every 3.6 s
    PUT of upload.example.com, *.upload.example.com
    in group trial
    enforced for 10 % of all identities
    each request takes as many units as header x-upload-chunks says, 1 to 100, or else 1
",
    );
}

#[test]
fn f07_neither_explanation_nor_debug_tells_a_secret() {
    let text = r#"
[store]
url = "redis://admin:canary-1@db.example.com/0?password=canary-2"
key_secret = "canary-3 with sixteen bytes"
nodes = 2

[identity.jwt]
issuer = "https://login.example.com"
audience = "api"

[[identity.jwt.key]]
algorithm = "HS256"
secret = "canary-4 with thirty-two bytes or more"

[[rule]]
name = "api"
limit = "100/min"
"#;
    let configuration = accepted(text);
    let dump = format!("{configuration:?} {configuration:#?} {}", configuration.explain());
    assert!(!dump.contains("canary"), "{dump}");
    assert_eq!(configuration.store.url.to_string(), "redis://***@db.example.com/0?***");
    assert!(configuration.store.url.expose().contains("canary-1"), "whoever connects needs it");
}
