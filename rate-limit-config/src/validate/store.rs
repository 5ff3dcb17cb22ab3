//! The section `store`.

use std::ops::RangeInclusive;
use std::time::Duration;

use rate_limit_core::FailureMode;

use super::{Context, given};
use crate::configuration::{BreakerSettings, MemoryPages, StoreKind, StoreSettings, StoreUrl};
use crate::document::{BreakerSection, Period, StoreSection};
use crate::problem::Flaw;
use crate::read::{Key, Located, closest};
use crate::source::Source;
use crate::words;

/// The schemes of the stores.
const SCHEMES: [(&str, StoreKind); 9] = [
    ("memory", StoreKind::Memory),
    ("redis", StoreKind::Redis),
    ("rediss", StoreKind::Redis),
    ("redis+cluster", StoreKind::Redis),
    ("rediss+cluster", StoreKind::Redis),
    ("redis+sentinel", StoreKind::Redis),
    ("rediss+sentinel", StoreKind::Redis),
    ("unix", StoreKind::Redis),
    ("sqlite", StoreKind::Sqlite),
];

/// The shortest secret under which digests are worth something.
const MIN_KEY_SECRET_BYTES: usize = 16;

pub(super) fn store(
    section: Option<Located<StoreSection>>,
    key: &Key<'_>,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> StoreSettings {
    let mut settings = StoreSettings::default();
    let Some(section) = given(section) else {
        return settings;
    };
    if let Some(url) = url(&section, key, context, source) {
        settings.url = url;
    }
    if let Some(secret) = &section.key_secret {
        let secret_key = key.named("key_secret");
        settings.key_secret = context.resolve(secret, &secret_key, source);
        let length = settings.key_secret.as_ref().map(|secret| secret.expose().len());
        if let Some(length) = length.filter(|length| *length < MIN_KEY_SECRET_BYTES) {
            let message =
                format!("the secret has {length} bytes; expected at least {MIN_KEY_SECRET_BYTES}");
            source.refuse(&secret.place, secret_key, Flaw::new(message));
        }
    }
    let accepted = Duration::from_millis(1)..=Duration::from_secs(60);
    set(&mut settings.timeout, section.timeout, &key.named("timeout"), &accepted, source);
    if let Some(mode) = given(section.on_failure) {
        settings.on_failure = mode.0;
    }
    if let Some(nodes) = given(section.nodes) {
        settings.nodes = nodes.to();
    }
    if let Some(prefix) = given(section.key_prefix) {
        settings.key_prefix = prefix.0;
    }
    if let Some(max) = given(section.max_keys) {
        settings.max_keys = max.0;
    }
    if let Some(pages) = given(section.memory_pages) {
        settings.memory_pages = pages.0;
    }
    if let Some(breaker) = section.breaker {
        set_breaker(&mut settings.breaker, breaker, &key.named("breaker"), source);
    }
    settings
}

fn url(
    section: &StoreSection,
    key: &Key<'_>,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> Option<StoreUrl> {
    let reference = section.url.as_ref()?;
    let url_key = key.named("url");
    let text = context.resolve(reference, &url_key, source)?;
    let url = parse(&String::from_utf8_lossy(text.expose()))
        .map_err(|flaw| source.refuse(&reference.place, url_key, flaw))
        .ok()?;
    if url.kind() == StoreKind::Redis && section.nodes.is_none() {
        let message = "the store can be shared, but nothing says by how many processes; while it is \
                       away, each allows as much as all of them together should";
        source.warn(&reference.place, key.named("nodes"), Flaw::new(message));
    }
    Some(url)
}

fn set_breaker(
    settings: &mut BreakerSettings,
    section: Located<BreakerSection>,
    key: &Key<'_>,
    source: &mut Source<'_>,
) {
    let Located { place, value: section } = section;
    let accepted = Duration::from_millis(1)..=Duration::from_secs(3_600);
    set(&mut settings.open, section.open, &key.named("open"), &accepted, source);
    set(&mut settings.max_open, section.max_open, &key.named("max_open"), &accepted, source);
    if let Some(failures) = given(section.failures) {
        settings.failures = failures.to();
    }
    if settings.open > settings.max_open {
        let (open, max) = (words::length(settings.open), words::length(settings.max_open));
        let message =
            format!("`open` is {open} and `max_open` is {max}; expected it to be at most that");
        source.refuse(&place, key, Flaw::new(message));
    }
}

/// Takes a time over, if it is in range.
pub(super) fn set(
    setting: &mut Duration,
    period: Option<Located<Period>>,
    key: &Key<'_>,
    accepted: &RangeInclusive<Duration>,
    source: &mut Source<'_>,
) {
    let Some(Located { place, value: Period(duration) }) = period else {
        return;
    };
    if accepted.contains(&duration) {
        *setting = duration;
        return;
    }
    let (least, most) = (words::length(*accepted.start()), words::length(*accepted.end()));
    let flaw = Flaw::expected(format!("a time from {least} to {most}"));
    source.refuse(&place, key, flaw.value(words::length(duration)));
}

/// Messages say nothing of the text but its scheme, because the rest may hold a password.
fn parse(text: &str) -> Result<StoreUrl, Flaw> {
    let names = || SCHEMES.iter().map(|(scheme, _)| *scheme);
    let expected = || {
        let names: Vec<&str> = names().collect();
        format!(
            "a scheme and an address such as redis://127.0.0.1:6379; the schemes are {}",
            names.join(", ")
        )
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Flaw::expected(expected()));
    };
    let Some((_, kind)) = SCHEMES.iter().find(|(known, _)| *known == scheme) else {
        // What is not close to a scheme may be anything, so it is not shown either.
        let meant = closest(scheme, names()).map(|scheme| format!("`{scheme}://`"));
        return Err(Flaw::expected(expected()).meant(meant));
    };
    match kind {
        StoreKind::Memory if !rest.is_empty() => {
            Err(Flaw::new("the store in this process has no address; expected `memory://`"))
        }
        StoreKind::Redis | StoreKind::Sqlite if rest.is_empty() => {
            Err(Flaw::new(format!("the address is missing; expected one after `{scheme}://`")))
        }
        kind => Ok(StoreUrl::new(*kind, text, shown(scheme, rest))),
    }
}

/// The address without user, password and options.
fn shown(scheme: &str, rest: &str) -> String {
    let (address, options) = match rest.split_once('?') {
        Some((address, _)) => (address, "?***"),
        None => (rest, ""),
    };
    // A password may contain what would otherwise end it, so the last sign counts.
    match rest.rsplit_once('@') {
        Some((_, host)) => {
            let host = host.split_once('?').map_or(host, |(host, _)| host);
            format!("{scheme}://***@{host}{options}")
        }
        None => format!("{scheme}://{address}{options}"),
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: StoreUrl::memory(),
            timeout: Duration::from_millis(25),
            breaker: BreakerSettings::default(),
            on_failure: FailureMode::Local,
            nodes: 1,
            key_prefix: "rl".to_owned(),
            key_secret: None,
            max_keys: 1_000_000,
            memory_pages: MemoryPages::default(),
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 5, open: Duration::from_millis(250), max_open: Duration::from_secs(5) }
    }
}
