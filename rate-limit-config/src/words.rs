//! Times and rates in plain words.

use std::time::Duration;

use rate_limit_core::RateLimitPolicy;

/// A time with the largest unit that gives a whole number, such as `30s` or `1d`.
pub(crate) fn length(time: Duration) -> String {
    const UNITS: [(u128, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanos = time.as_nanos();
    let unit = UNITS.iter().find(|(unit, _)| nanos >= *unit && nanos.is_multiple_of(*unit));
    unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", nanos / unit))
}

/// `5 per minute`, `20 per 30s`.
pub(crate) fn rate(policy: &RateLimitPolicy) -> String {
    let window = match policy.window().as_nanos() {
        1_000_000_000 => "second".to_owned(),
        60_000_000_000 => "minute".to_owned(),
        3_600_000_000_000 => "hour".to_owned(),
        86_400_000_000_000 => "day".to_owned(),
        _ => length(policy.window()),
    };
    format!("{} per {window}", policy.limit())
}

/// A time as people say it, rounded to three figures behind the point: `12 s`, `1.2 s`, `14m 24s`.
pub(crate) fn about(time: Duration) -> String {
    let nanos = time.as_nanos();
    let (unit, name) = match nanos {
        120_000_000_000.. => {
            let seconds = Duration::from_secs(time.as_secs());
            return humantime::format_duration(seconds).to_string();
        }
        1_000_000_000.. => (1_000_000_000, "s"),
        1_000_000.. => (1_000_000, "ms"),
        _ => (1_000, "us"),
    };
    let thousandths = (nanos * 1_000 + unit / 2) / unit;
    let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
    let part = format!("{part:03}");
    match part.trim_end_matches('0') {
        "" => format!("{whole} {name}"),
        part => format!("{whole}.{part} {name}"),
    }
}
