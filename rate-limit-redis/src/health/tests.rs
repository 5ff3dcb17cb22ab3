use super::*;

fn changes() -> Vec<(HealthEvent, &'static str)> {
    let silent = AwayReason::Silent;
    let refused = AwayReason::WrongCredentials { code: "WRONGPASS".into() };
    vec![
        (HealthEvent::Connected, "connected"),
        (HealthEvent::Away(silent), "tried again"),
        (HealthEvent::Away(refused), "cure: correct user:password@"),
        (HealthEvent::BreakerOpened { cause: "no reply came".into() }, "no reply came"),
        (HealthEvent::BreakerHalfOpened, "one decision at a time"),
        (HealthEvent::BreakerClosed, "well again"),
        (HealthEvent::EvictsDebt { policy: "allkeys-lru".into() }, "cure: CONFIG SET"),
        (HealthEvent::DigestsArePseudonyms, "cure: set one with `key_secret(..)`"),
        (HealthEvent::Forgotten, "no slot of the cluster"),
    ]
}

#[tokio::test]
async fn a_program_sees_every_change_in_its_order() {
    let reporter = Reporter::new();
    let mut seen = reporter.changes();
    for (event, _) in changes() {
        reporter.report(&"a:1".into(), event);
    }
    for (event, _) in changes() {
        assert_eq!(seen.next().await, Some(HealthChange { server: "a:1".into(), event }));
    }
    drop(reporter);
    assert_eq!(seen.next().await, None);
}

#[tokio::test]
async fn what_was_found_before_anybody_could_ask_is_told_to_the_first_who_asks() {
    let reporter = Reporter::new();
    reporter.report_finding(&"keys".into(), HealthEvent::DigestsArePseudonyms);
    let (mut first, mut second) = (reporter.changes(), reporter.changes());
    reporter.report(&"a:1".into(), HealthEvent::Connected);
    drop(reporter);
    let found = HealthChange { server: "keys".into(), event: HealthEvent::DigestsArePseudonyms };
    assert_eq!(first.next().await, Some(found));
    let connected = HealthChange { server: "a:1".into(), event: HealthEvent::Connected };
    assert_eq!(first.next().await, Some(connected.clone()));
    assert_eq!(second.next().await, Some(connected));
}

#[tokio::test]
async fn whoever_does_not_look_misses_the_oldest_and_fills_no_memory() {
    let reporter = Reporter::new();
    let mut seen = reporter.changes();
    for _ in 0..10_000 {
        reporter.report(&"a:1".into(), HealthEvent::Connected);
    }
    drop(reporter);
    let mut count = 0;
    while seen.next().await.is_some() {
        count += 1;
    }
    assert!((1..=KEPT_CHANGES).contains(&count), "{count}");
}

#[cfg(feature = "tracing")]
#[test]
fn each_change_is_one_line_that_names_the_cure() {
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        for (event, _) in changes() {
            Reporter::new().report(&"a:1".into(), event);
        }
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), changes().len(), "{text}");
    for (line, (event, part)) in lines.iter().zip(changes()) {
        assert!(line.contains("a:1") && line.contains(part), "{event:?}: {line}");
    }
    assert!(lines[1].contains("WARN") && lines[2].contains("ERROR"), "{text}");
}

#[cfg(feature = "metrics")]
#[test]
fn each_change_is_counted_and_the_gauges_follow() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        for (event, _) in changes() {
            Reporter::new().report(&"a:1".into(), event);
        }
    });
    let mut counted = 0;
    let mut gauges = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        assert!(key.labels().any(|label| label.key() == "server" && label.value() == "a:1"));
        match value {
            DebugValue::Counter(count) => counted += count,
            DebugValue::Gauge(level) => gauges.push((key.name().to_owned(), level.into_inner())),
            DebugValue::Histogram(_) => panic!("{key}"),
        }
    }
    gauges.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(counted, changes().len() as u64);
    // Of a server that is forgotten nothing is said that raises an alarm.
    let expected = [("rate_limit_redis_breaker_open", 0.0), ("rate_limit_redis_connected", 1.0)];
    assert_eq!(gauges, expected.map(|(name, level)| (name.to_owned(), level)));
}
