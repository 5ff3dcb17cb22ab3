use std::fs;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use rate_limit_config::{ApplyError, Configuration, ConfiguredLayer, Environment};
use rate_limit_memory::MemoryRepository;

use super::{accepted, read};

/// The files of the corpus and the example, as a beginning for what is broken further.
fn texts() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broken");
    let mut texts: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .filter(|text| text.len() < 10_000)
        .collect();
    texts.push(fs::read_to_string(super::EXAMPLE).unwrap());
    texts
}

/// A rule that can work, as a text.
fn rule() -> impl Strategy<Value = String> {
    let limit = (1_u64..1_000_000, prop::sample::select(vec!["s", "min", "h", "day", "90m"]))
        .prop_map(|(limit, unit)| format!("\"{limit}/{unit}\""));
    let limits = vec(limit, 1..3).prop_filter_map("two limits of one window", |limits| {
        let unit = |text: &String| text.split('/').nth(1).map(str::to_owned);
        let is_distinct = limits.len() == 1 || unit(&limits[0]) != unit(&limits[1]);
        is_distinct.then(|| format!("limit = [{}]\n", limits.join(", ")))
    });
    let keys = ["", "key = \"global\"\n", "key = [\"ip\", \"header:x-a\"]\n", "key = \"path\"\n"];
    let extra = [
        "",
        "mode = \"shadow\"\n",
        "enforce_percent = 7\n",
        "count = \"failures\"\n",
        "cost = 0\n",
        "methods = [\"GET\", \"PUT\"]\n",
        "host = \"*.example.com\"\n",
        "on_failure = \"allow\"\n",
        "paths = [\"/a/{id}\", \"/b\"]\n",
        "path_prefixes = \"/\"\n",
        "penalty = { after = 3, within = \"1m\" }\n",
    ];
    (limits, prop::sample::select(keys.to_vec()), prop::sample::select(extra.to_vec()))
        .prop_map(|(limits, key, extra)| format!("{limits}{key}{extra}"))
}

fn group() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "group = \"other\"\n"])
}

/// What a rule is for: hardly anything twice, so that many of these do not get into each other's way.
fn matches() -> impl Strategy<Value = String> {
    let some = |key: &'static str, values: &[&'static str]| {
        let values = prop::sample::subsequence(values.to_vec(), 0..3.min(values.len()));
        values.prop_map(move |values| match values.as_slice() {
            [] => String::new(),
            values => format!("{key} = {values:?}\n"),
        })
    };
    let paths =
        ["/a", "/{a}", "/{*a}", "/a/{b}", "/a/{b}.json", "/a/{*b}", "/x{a}/y", "/b", "/c/d"];
    (
        some("paths", &paths),
        some("path_prefixes", &["/", "/a", "/b", "/a/b"]),
        some("methods", &["GET", "HEAD", "POST", "PURGE"]),
        some("host", &["a.example.com", "*.example.com", "A.EXAMPLE.com.", "127.0.0.1"]),
    )
        .prop_map(|(paths, prefixes, methods, hosts)| [paths, prefixes, methods, hosts].concat())
}

/// Whether a line of a rule says what it matches.
fn is_match(line: &str) -> bool {
    ["paths", "path_prefixes", "methods", "host"].iter().any(|key| line.starts_with(key))
}

/// What the configuration runs as.
fn layer(configuration: Configuration) -> Result<ConfiguredLayer, ApplyError> {
    let store = MemoryRepository::builder().build().unwrap();
    ConfiguredLayer::builder(store).without_fallback().build(configuration)
}

proptest! {
    #[test]
    fn every_rule_is_explained(
        rules in btree_set("[a-zA-Z][a-zA-Z0-9_.-]{0,15}", 1..8).prop_flat_map(|names| {
            let count = names.len();
            (Just(names), vec(rule(), count))
        }),
    ) {
        let (names, bodies) = rules;
        let text: String = names
            .iter()
            .zip(&bodies)
            // Each in a group of its own, so that no two of them match the same requests.
            .map(|(name, body)| format!("[[rule]]\nname = \"{name}\"\ngroup = \"{name}\"\n{body}"))
            .collect();
        let configuration = accepted(&text);
        let explained = configuration.explain();
        prop_assert!(layer(configuration).is_ok(), "{text}");
        for name in names {
            let line = format!("{name}: ");
            prop_assert!(explained.lines().any(|said| said.starts_with(&line)), "{explained}");
        }
    }

    #[test]
    fn what_is_accepted_makes_a_layer(bodies in vec((rule(), group(), matches()), 1..12)) {
        let text: String = bodies
            .iter()
            .enumerate()
            .map(|(index, (body, group, matches))| {
                let body: String =
                    body.lines().filter(|line| !is_match(line)).map(|line| format!("{line}\n")).collect();
                format!("[[rule]]\nname = \"rule-{index}\"\n{group}{matches}{body}")
            })
            .collect();
        if let Ok(configuration) = read(&text) {
            let built = layer(configuration);
            prop_assert!(built.is_ok(), "{:?}\n{text}", built.err());
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn nothing_that_looks_like_rules_makes_the_reader_panic(
        text in vec(prop::sample::select(PARTS.to_vec()), 0..60),
    ) {
        let _ = read(&text.concat());
    }

    #[test]
    fn no_broken_file_broken_further_makes_the_reader_panic(
        (text, at, with, length) in prop::sample::select(texts()).prop_flat_map(|text| {
            let length = text.len();
            (Just(text), 0..=length, any::<String>(), 0_usize..20)
        }),
    ) {
        let start = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        let end = (start + length).min(text.len());
        let end = (end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let mut changed = text;
        changed.replace_range(start..end, &with);
        let outcome = read(&changed);
        if let Err(error) = outcome {
            prop_assert!(!error.problems().is_empty());
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_variable_makes_the_reader_panic(
        name in "(STORE|RULE|IDENTITY|TIERS|BLOCK|RESPONSES)(__[A-Z0-9_]{0,8}){0,4}",
        value in prop_oneof![any::<String>(), vec(prop::sample::select(PARTS.to_vec()), 0..20)
            .prop_map(|parts| parts.concat())],
    ) {
        let environment = Environment::from_variables([(format!("RATE_LIMIT__{name}"), value)]);
        let text = "[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n";
        let _ = Configuration::from_toml("limits.toml", text, &environment);
    }
}

/// What rules files are made of, and what might confuse a reader.
const PARTS: [&str; 48] = [
    "[[rule]]\n",
    "[rule.penalty]\n",
    "[store]\n",
    "[identity]\n",
    "[identity.jwt]\n",
    "[[identity.jwt.key]]\n",
    "[tiers.gold]\n",
    "[[exempt]]\n",
    "[[block]]\n",
    "[responses]\n",
    "name = \"a\"\n",
    "name = \"b\"\n",
    "limit = ",
    "\"5/min\"\n",
    "[\"1/s\", \"5/min\"]\n",
    "{ limit = 5, window = \"1m\" }\n",
    "key = ",
    "\"ip\"\n",
    "[\"user\", \"ip\"]\n",
    "\"global\"\n",
    "paths = ",
    "\"/a/{b}\"\n",
    "\"/{*rest}\"\n",
    "methods = \"GET\"\n",
    "host = \"h\"\n",
    "cost = ",
    "0\n",
    "-1\n",
    "1e999\n",
    "nan\n",
    "9999999999999999999999\n",
    "0x7f\n",
    "true\n",
    "url = \"redis://a:b@c/d?e\"\n",
    "until = ",
    "2030-01-31T00:00:00Z\n",
    "1979-05-27\n",
    "trusted_proxies = \"0.0.0.0/0\"\n",
    "forwarding_header = \"forwarded\"\n",
    "a",
    "b = 1\n",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\u0000",
    "# comment\n",
];
