//! Bans that grow and are forgiven.

use std::time::Duration;

use crate::support::{Limited, from, request};

/// Two violations within a minute lead to a ban of a minute, then two, at most three; an hour of good
/// conduct takes one step back.
pub(crate) const LADDER: &str = r#"
[[rule]]
name = "login"
limit = { limit = 1, window = "10s", algorithm = "fixed_window" }

[rule.penalty]
after = 2
within = "1m"
ban = "1m"
factor = 2
max = "3m"
decay = "1h"
"#;

/// Asks until a ban begins, and says how long it is.
pub(crate) fn until_banned(limited: &mut Limited) -> u64 {
    assert_eq!(limited.ask(request()).status, 200);
    let denied = [limited.ask(request()), limited.ask(request())];
    assert_eq!(denied.clone().map(|told| told.status), [429, 429]);
    denied[1].retry_after.unwrap()
}

#[test]
fn the_ladder_climbs_and_decays() {
    climbs_and_decays(&mut Limited::by(LADDER));
}

/// On whatever store: all of the ladder lies in it.
pub(crate) fn climbs_and_decays(limited: &mut Limited) {
    let mut lengths = Vec::new();
    for _ in 0..4 {
        let ban = until_banned(limited);
        lengths.push(ban);
        // One tick before its end, the ban still holds, and asking did not make it longer.
        limited.clock.advance(Duration::from_secs(ban) - Duration::from_nanos(1));
        assert_eq!(limited.ask(request()).status, 429);
        limited.clock.advance(Duration::from_nanos(1));
    }
    assert_eq!(lengths, [60, 120, 180, 180]);

    // Two hours of good conduct take two of four levels back, and the others stay.
    limited.clock.advance(Duration::from_secs(3 * 3_600));
    assert_eq!(until_banned(limited), 120, "one level of four is left");
}

#[test]
fn nobody_else_is_banned() {
    let mut limited = Limited::by(LADDER);
    until_banned(&mut limited);
    assert_eq!(limited.statuses([from("192.0.2.9"), request()]), [200, 429]);
}

#[test]
fn a_ban_outlives_a_reload() {
    let mut limited = Limited::by(LADDER);
    until_banned(&mut limited);
    limited.apply(&LADDER.replace("limit = 1,", "limit = 1000,"));
    assert_eq!(limited.ask(request()).status, 429);
    limited.clock.advance(Duration::from_secs(60));
    assert_eq!(limited.ask(request()).status, 200);
}
