//! Exchanging the configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rate_limit_config::{
    AccessEntry, ApplyError, Configuration, ConfiguredLayer, Environment, ReloadError, Reloader,
};
use rate_limit_core::conformance::doubles::SlowRepository;
use rate_limit_core::{Clock, ManualClock, Network};
use rate_limit_memory::{MemoryRepository, SystemClock};
use tower::{Layer, Service, ServiceExt};

use crate::support::{
    Counted, Limited, Scratch, Told, bearing, claiming, echo, listening, now, read, request,
};

fn per_minute(limit: u64, algorithm: &str) -> String {
    format!(
        "[[rule]]\nname = \"api\"\n\
         limit = {{ limit = {limit}, window = \"1m\", algorithm = \"{algorithm}\" }}\n"
    )
}

/// Promise 8: 60 of 100 are used, then 200 are allowed, then 50.
#[test]
fn a_changed_limit_forgives_nothing() {
    for (algorithm, of_200, of_50) in [
        ("token_bucket", 79, 18),
        ("fixed_window", 139, 0),
        ("sliding_window", 139, 0),
        ("sliding_log", 139, 0),
    ] {
        let mut limited = Limited::by(&per_minute(100, algorithm));
        assert_eq!(limited.passing(60, request), 60);
        limited.apply(&per_minute(200, algorithm));
        let told = limited.ask(request());
        assert_eq!((told.limit, told.remaining), (Some(200), Some(of_200)), "{algorithm}");
        // Of a bucket 60.5 % were used, which are 30.25 of 50; of a window 61.
        limited.apply(&per_minute(50, algorithm));
        let told = limited.ask(request());
        assert_eq!((told.limit, told.remaining), (Some(50), Some(of_50)), "{algorithm}");
    }
}

#[test]
fn what_does_not_change_keeps_its_state() {
    let other = "[[rule]]\nname = \"other\"\npaths = \"/other\"\nlimit = \"10/min\"\n";
    let mut limited = Limited::by(&(per_minute(100, "token_bucket") + other));
    limited.passing(60, request);
    // The other rule changes, goes, and comes back; a rule is put in front; comments come.
    for text in [
        per_minute(100, "token_bucket") + &other.replace("10/min", "20/min"),
        per_minute(100, "token_bucket"),
        format!("# A comment.\n{other}{}", per_minute(100, "token_bucket")),
    ] {
        let before = limited.ask(request()).remaining.unwrap();
        limited.apply(&text);
        assert_eq!(limited.ask(request()).remaining, Some(before - 1));
    }
}

/// G15: every decision is one version's, also of requests that wait for the store meanwhile.
#[test]
fn a_request_that_is_under_way_is_decided_by_the_version_that_asked() {
    let clock = ManualClock::new();
    let store = MemoryRepository::builder().clock(clock.clone()).build().unwrap();
    let (store, release) = SlowRepository::around(store);
    let layer = ConfiguredLayer::builder(store).without_fallback().clock(clock);
    let layer = layer.build(read(&per_minute(100, "token_bucket"))).unwrap();
    let mut service = layer.layer(echo());
    let mut waiting = Box::pin(now(service.ready()).unwrap().call(request()));
    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waiting.as_mut().poll(cx).is_pending());
    layer.apply(read(&per_minute(200, "token_bucket"))).unwrap();
    let later = now(service.ready()).unwrap().call(request());
    release.all();
    assert_eq!(Told::of(&now(waiting).unwrap()).limit, Some(100));
    assert_eq!(Told::of(&now(later).unwrap()).limit, Some(200));
}

/// Two limits that are always exchanged together are never seen apart.
#[test]
fn no_decision_mixes_two_versions() {
    let text = |limit: u64| {
        format!(
            "[[rule]]\nname = \"one\"\nlimit = \"{limit}/s\"\n\
             [[rule]]\nname = \"two\"\ngroup = \"two\"\nlimit = \"{limit}/s\"\n"
        )
    };
    let limited = Limited::by(&text(1_000_000));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                limited.apply(&text(1_000_000 - n));
            }
            // Relaxed: the flag guards nothing.
            stop.store(true, Ordering::Relaxed);
        });
        for _ in 0..2 {
            let mut service = limited.service.clone();
            let stop = &stop;
            scope.spawn(move || {
                let mut asked = 0_u64;
                while !stop.load(Ordering::Relaxed) || asked == 0 {
                    let response = now(now(service.ready()).unwrap().call(request())).unwrap();
                    let list = response.headers()["ratelimit-policy"].to_str().unwrap().to_owned();
                    let limits: Vec<_> = list
                        .split("q=")
                        .skip(1)
                        .map(|rest| rest.split(';').next().unwrap())
                        .collect();
                    assert_eq!(limits.len(), 2, "{list}");
                    assert_eq!(limits[0], limits[1], "{list}");
                    asked += 1;
                }
            });
        }
    });
}

/// F01, G15: a thousand reloads of an unchanged file under load admit no more than the bound of the
/// bucket over the time that all of it took.
#[test]
fn f01_a_thousand_reloads_of_an_unchanged_file_give_nothing_away() {
    let clock = Arc::new(SystemClock::new());
    let store = MemoryRepository::builder().clock(clock.clone()).build().unwrap();
    let scratch = Scratch::new("f01");
    let (burst, per_second) = (50, 200);
    let path = scratch.write(
        "limits.toml",
        &format!("[[rule]]\nname = \"api\"\nlimit = {{ limit = {per_second}, window = \"1s\", burst = {burst} }}\n"),
    );
    let configuration = Configuration::from_file(&path, &Environment::empty()).unwrap();
    let layer = ConfiguredLayer::builder(store).without_fallback().build(configuration).unwrap();
    let reloader = Reloader::of_file(layer.clone(), &path, Environment::empty());
    let (admitted, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let started = clock.now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let mut service = layer.layer(echo());
            let (admitted, stop) = (&admitted, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let response = now(now(service.ready()).unwrap().call(request())).unwrap();
                    admitted.fetch_add(u64::from(response.status() == 200), Ordering::Relaxed);
                }
            });
        }
        for _ in 0..1_000 {
            reloader.reload().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let nanos = clock.now().nanos_since(started);
    let bound = burst + u64::try_from(u128::from(nanos) * per_second / 1_000_000_000).unwrap();
    let admitted = admitted.into_inner();
    assert!(admitted <= bound, "{admitted} were admitted, {bound} are the bound");
    assert_eq!((layer.version(), reloader.status().applied), (1_001, 1_000));
    println!(
        "{admitted} of at most {bound} admitted in {:.2} s of 1000 reloads",
        nanos as f64 / 1e9
    );
}

/// What F01 would see if a reload forgot: time stands still, and every name is a new bucket.
#[test]
fn a_reload_that_starts_buckets_anew_would_be_noticed() {
    let text = |name: &str| format!("[[rule]]\nname = \"{name}\"\nlimit = \"50/s\"\n");
    let mut limited = Limited::by(&text("api"));
    let mut admitted = [0, 0];
    for n in 0..20 {
        limited.apply(&text("api"));
        admitted[0] += limited.passing(60, request);
        limited.apply(&text(&format!("api-{n}")));
        admitted[1] += limited.passing(60, request);
    }
    assert_eq!(admitted, [50, 20 * 50]);
}

/// O02, F07: neither what a file says wrongly nor what its keys are is repeated.
#[test]
fn a_refusal_is_logged_once_and_no_secret_is_in_it() {
    let lines = listening(|| {
        let limited = Limited::by(&per_minute(100, "token_bucket"));
        let reloader = Reloader::of_source(limited.layer.clone(), || {
            let text = "[store]\nurl = \"redis://:hunter2@127.0.0.1\"\n\
                        [[rule]]\nname = \"api\"\nlimit = \"0/min\"\n";
            Configuration::from_toml("limits.toml", text, &Environment::empty())
        });
        reloader.reload().unwrap_err();
    });
    let refused: Vec<_> = lines.lines().filter(|line| line.contains("refused")).collect();
    assert_eq!(refused.len(), 1, "{lines}");
    assert!(refused[0].contains("ERROR") && lines.contains("limits.toml:5:9"), "{lines}");
    assert!(!lines.contains("hunter2"), "{lines}");
}

/// F02.
#[test]
fn f02_a_bad_file_changes_nothing_and_is_counted_and_told_whole() {
    let counted = Counted::during(|| {
        let scratch = Scratch::new("f02");
        let path = scratch.write("limits.toml", &per_minute(100, "token_bucket"));
        let limited = Limited::by(&per_minute(100, "token_bucket"));
        let reloader = Reloader::of_file(limited.layer.clone(), &path, Environment::empty());
        let mut service = limited.layer.layer(echo());
        let mut remaining = || {
            let response = now(now(service.ready()).unwrap().call(request())).unwrap();
            (Told::of(&response).limit, Told::of(&response).remaining)
        };
        assert_eq!(remaining(), (Some(100), Some(99)));
        for (number, (broken, where_)) in [
            ("this is no TOML", ":1:"),
            ("[[rule]]\nname = \"api\"\nlimt = \"200/min\"\n", ":3:1"),
            ("[[rule]]\nname = \"api\"\nlimit = \"0/min\"\n", ":3:"),
            ("[[rule]]\nname = \"api\"\nlimit = \"-5/min\"\n", ":3:"),
            ("[[rule]]\nname = \"api\"\nlimit = \"99999999999999999999/min\"\n", ":3:"),
            ("", "limits.toml"),
        ]
        .into_iter()
        .enumerate()
        {
            scratch.write("limits.toml", broken);
            let refused = reloader.reload().unwrap_err();
            assert!(matches!(refused, ReloadError::Configuration(_)), "{refused}");
            assert!(refused.to_string().contains(where_), "{refused}");
            let status = reloader.status();
            assert_eq!((status.refused, status.last), (number as u64 + 1, Some(Err(refused))));
            assert_eq!(limited.layer.version(), 1);
            assert_eq!(remaining(), (Some(100), Some(98 - number as u64)));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(reloader.reload().is_err());
        scratch.write("limits.toml", &per_minute(200, "token_bucket"));
        assert_eq!(reloader.reload().unwrap().version, 2);
        assert_eq!(remaining().0, Some(200));
    });
    let reloads =
        |outcome| counted.count("rate_limit_config_reloads_total", &[("outcome", outcome)]);
    assert_eq!((reloads("refused"), reloads("applied")), (Some(7), Some(1)));
}

#[test]
fn a_variable_wins_over_the_file_after_a_reload_too() {
    let scratch = Scratch::new("variable");
    let path = scratch.write("limits.toml", "[[rule]]\nname = \"api\"\nlimit = \"100/min\"\n");
    let environment = Environment::from_variables([("RATE_LIMIT__RULE__API__LIMIT", "300/min")]);
    let configuration = Configuration::from_file(&path, &environment).unwrap();
    let store = MemoryRepository::builder().build().unwrap();
    let layer = ConfiguredLayer::builder(store).without_fallback().build(configuration).unwrap();
    let reloader = Reloader::of_file(layer.clone(), &path, environment);
    let mut service = layer.layer(echo());
    let mut limit = || Told::of(&now(now(service.ready()).unwrap().call(request())).unwrap()).limit;
    assert_eq!(limit(), Some(300));
    scratch.write("limits.toml", "[[rule]]\nname = \"api\"\nlimit = \"200/min\"\n");
    reloader.reload().unwrap();
    assert_eq!(limit(), Some(300));
}

#[test]
fn a_changed_store_is_reported_until_it_is_as_it_was_and_everything_else_applies() {
    let limited = Limited::by(&per_minute(100, "token_bucket"));
    let changed = |store: &str| {
        limited.layer.apply(read(&format!("{store}{}", per_minute(200, "token_bucket"))))
    };
    let redis = "[store]\nurl = \"redis://127.0.0.1\"\ntimeout = \"30ms\"\n";
    let applied = changed(redis).unwrap();
    assert_eq!(applied.needs_restart, ["store.url", "store.timeout"]);
    assert_eq!(limited.layer.configuration().rules[0].limits[0].limit(), 200);
    assert_eq!(changed(redis).unwrap().needs_restart, ["store.url", "store.timeout"]);
    let applied = changed("").unwrap();
    assert_eq!((applied.version, applied.needs_restart.is_empty()), (4, true));
}

/// Every setting with which a store is opened, and none that is part of the rules.
#[test]
fn each_setting_of_the_store_that_needs_a_restart_is_named() {
    let limited = Limited::by(&per_minute(100, "token_bucket"));
    for (section, setting) in [
        ("url = \"sqlite://limits.db\"", "store.url"),
        ("timeout = \"30ms\"", "store.timeout"),
        ("breaker = { failures = 7 }", "store.breaker"),
        ("nodes = 2", "store.nodes"),
        ("key_prefix = \"other\"", "store.key_prefix"),
        ("key_secret = \"a secret of more than sixteen bytes\"", "store.key_secret"),
        ("max_keys = 5", "store.max_keys"),
        ("memory_pages = \"huge\"", "store.memory_pages"),
    ] {
        let text = format!("[store]\n{section}\n{}", per_minute(100, "token_bucket"));
        let lines = listening(|| {
            let text = text.clone();
            let reloader = Reloader::of_source(limited.layer.clone(), move || Ok(read(&text)));
            assert_eq!(reloader.reload().unwrap().needs_restart, [setting]);
        });
        assert!(lines.contains(&format!("{setting} changed, which takes effect with a restart")));
    }
    let rules = format!("[store]\non_failure = \"deny\"\n{}", per_minute(100, "token_bucket"));
    assert_eq!(limited.layer.apply(read(&rules)).unwrap().needs_restart, [""; 0]);
}

/// Whoever reads a long file holds up nobody: neither requests, nor whoever asks what is in force.
#[test]
fn nobody_waits_for_a_reload() {
    let mut limited = Limited::by(&per_minute(100, "token_bucket"));
    let (begun, begins) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel();
    let (begun, waits) = (std::sync::Mutex::new(begun), std::sync::Mutex::new(waits));
    let reloader = Reloader::of_source(limited.layer.clone(), move || {
        begun.lock().unwrap().send(()).unwrap();
        // Gives up in the end, so that a test that waits fails instead of hanging.
        let told = waits.lock().unwrap().recv_timeout(Duration::from_secs(30));
        assert!(told.is_ok(), "somebody has waited for the reload");
        Ok(read(&per_minute(200, "token_bucket")))
    });
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| reloader.reload());
        begins.recv().unwrap();
        assert_eq!(limited.ask(request()).limit, Some(100));
        assert_eq!((limited.layer.version(), reloader.status().last), (1, None));
        go_on.send(()).unwrap();
        assert_eq!(reload.join().unwrap().unwrap().version, 2);
    });
    assert_eq!(limited.ask(request()).limit, Some(200));
}

/// What the store's absence does is part of the rules, and the fallback stays when they change.
/// A read that hangs holds up nobody else, and what it brings in the end is older than what is in force.
#[test]
fn a_reload_that_hangs_is_overtaken() {
    let mut limited = Limited::by(&per_minute(100, "token_bucket"));
    let (hangs, hung) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel();
    let waits = std::sync::Mutex::new(Some(waits));
    let reads = AtomicU64::new(0);
    let reloader = Reloader::of_source(limited.layer.clone(), move || {
        let limit = 200 + reads.fetch_add(1, Ordering::SeqCst);
        let first = waits.lock().unwrap().take();
        if let Some(waits) = first {
            hangs.send(()).unwrap();
            // Gives up in the end, so that a test that waits fails instead of hanging.
            let told = waits.recv_timeout(Duration::from_secs(30));
            assert!(told.is_ok(), "somebody has waited for the reload");
        }
        Ok(read(&per_minute(limit, "token_bucket")))
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| reloader.reload());
        hung.recv().unwrap();
        assert_eq!(reloader.reload().unwrap().version, 2);
        assert_eq!(limited.ask(request()).limit, Some(201));
        go_on.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap().version, 3);
    });
    assert_eq!(limited.ask(request()).limit, Some(202), "read once more");
    assert_eq!(reloader.status().applied, 2);
}

#[test]
fn a_failure_mode_that_needs_a_fallback_is_refused_where_nobody_has_mentioned_one() {
    let store = || MemoryRepository::builder().build().unwrap();
    let refused = ConfiguredLayer::builder(store()).build(read(&per_minute(1, "token_bucket")));
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ApplyError::Layer(_)), "{refused}");
    assert!(refused.to_string().contains("fallback"), "{refused}");
    let layer = ConfiguredLayer::builder(store()).fallback(store());
    layer.build(read(&per_minute(1, "token_bucket"))).unwrap();
}

#[test]
fn a_configuration_from_elsewhere() {
    let limited = Limited::by(&per_minute(100, "token_bucket"));
    let limit = Arc::new(AtomicU64::new(7));
    let source = limit.clone();
    let reloader = Reloader::of_source(limited.layer.clone(), move || {
        let text = per_minute(source.load(Ordering::SeqCst), "token_bucket");
        Configuration::from_toml("database", &text, &Environment::empty())
    });
    reloader.reload().unwrap();
    let mut service = limited.layer.layer(echo());
    let mut ask = || Told::of(&now(now(service.ready()).unwrap().call(request())).unwrap()).limit;
    assert_eq!(ask(), Some(7));
    limit.store(0, Ordering::SeqCst);
    assert!(reloader.reload().unwrap_err().to_string().starts_with("database:"));
    assert_eq!(ask(), Some(7));
}

/// Also while what is loaded is refused, and nothing is loaded for it.
#[test]
fn a_part_of_the_configuration_in_force_is_changed_without_loading_it_again() {
    let limited = Limited::by(&per_minute(100, "token_bucket"));
    let loads = Arc::new(AtomicU64::new(0));
    let counted = loads.clone();
    let reloader = Reloader::of_source(limited.layer.clone(), move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Configuration::from_toml("broken", "[[rule]]", &Environment::empty())
    });
    assert!(reloader.reload().is_err());
    let mut entry = AccessEntry::default();
    entry.networks.push(Network::new([0, 0, 0, 0].into(), 0).unwrap());
    let applied = reloader.change(|configuration| configuration.block.push(entry)).unwrap();
    assert_eq!((applied.version, loads.load(Ordering::SeqCst)), (2, 1));
    let block = limited.layer.configuration().block.clone();
    assert_eq!((block.len(), limited.layer.version()), (1, 2));
    let status = reloader.status();
    assert_eq!((status.applied, status.refused), (1, 1));
}

/// The last key file that was good serves while the present one is not, and the reload says so.
#[test]
fn j11_a_file_of_keys_that_breaks_is_not_the_end_of_all_tokens() {
    let scratch = Scratch::new("j11");
    let set = |secret: &str| {
        use base64::Engine;
        let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret);
        format!(r#"{{"keys": [{{"kty": "oct", "alg": "HS256", "k": "{secret}"}}]}}"#)
    };
    let keys = scratch.write("keys.json", &set("a secret of at least thirty-two bytes"));
    let text = format!(
        "[[rule]]\nname = \"api\"\nkey = \"user\"\nlimit = \"100/min\"\n\
         [tiers.gold]\napi = \"1000/min\"\n\
         [identity.jwt]\nissuer = \"https://issuer.example\"\naudience = \"api\"\n\
         jwks_file = {keys:?}\njwks_max_stale = \"5m\"\n"
    );
    let mut limited = Limited::by(&text);
    let gold = || {
        let token = claiming("alice", "tier", serde_json::json!("gold"));
        bearing(request(), &token)
    };
    assert_eq!(limited.ask(gold()).limit, Some(1_000));
    std::fs::write(&keys, "oops").unwrap();
    let applied = limited.layer.apply(read(&text)).unwrap();
    assert!(applied.stale_keys.as_ref().unwrap().contains("keys.json"), "{applied:?}");
    assert_eq!(limited.ask(gold()).limit, Some(1_000), "the last good keys");
    limited.clock.advance(Duration::from_secs(300));
    assert_eq!(limited.ask(gold()).limit, Some(100), "then the lowest tier");
    std::fs::write(&keys, set("a secret of at least thirty-two bytes")).unwrap();
    assert_eq!(limited.layer.apply(read(&text)).unwrap().stale_keys, None);
    assert_eq!(limited.ask(gold()).limit, Some(1_000));
    // At the start there are no last good keys.
    std::fs::write(&keys, "oops").unwrap();
    let store = MemoryRepository::builder().build().unwrap();
    let refused =
        ConfiguredLayer::builder(store).without_fallback().build(read(&text)).unwrap_err();
    assert!(matches!(refused, ApplyError::Jwt(_)), "{refused}");
}
