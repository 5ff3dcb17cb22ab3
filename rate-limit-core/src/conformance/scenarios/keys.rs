//! Whose bucket it is.

use super::{SECOND, Scenario};
use crate::conformance::trial::{ensure, equal, policy, user};
use crate::identity::{ApiKeyDigest, ClientIdentity};
use crate::policy::RateLimitPolicy;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "keys.long_identities",
        promise: "identities of any length have buckets of their own, down to the last byte",
        body: |trial| {
            let store = trial.store();
            let once = policy(RateLimitPolicy::per_hour(1))?;
            for length in [1, 37, 38, 39, 100, 255, 256, 8_192, ClientIdentity::MAX_VALUE_BYTES] {
                let first = vec![b'x'; length];
                let mut last = first.clone();
                if let Some(byte) = last.last_mut() {
                    *byte = b'y';
                }
                for name in [first, last] {
                    let who = ClientIdentity::user(name)?;
                    store.admitted(&who, &once, 1)?;
                    store.denied(&who, &once, 1)?;
                }
            }
            Ok(())
        },
    },
    Scenario {
        name: "keys.kinds_do_not_mix",
        promise: "the encoding of an identity is typed: equal values of different kinds differ",
        body: |trial| {
            let store = trial.store();
            let once = policy(RateLimitPolicy::per_hour(1))?;
            let (user, tenant) = (ClientIdentity::user("a")?, ClientIdentity::tenant("a")?);
            let all = [
                ClientIdentity::GLOBAL,
                ClientIdentity::ANONYMOUS,
                ClientIdentity::user([0])?,
                ClientIdentity::user([b'a', b':', b'b'])?,
                ClientIdentity::custom("user", "a")?,
                ClientIdentity::custom("a", "b:c")?,
                ClientIdentity::custom("a:b", "c")?,
                ClientIdentity::api_key(ApiKeyDigest::from_sha256([b'a'; 32])),
                ClientIdentity::user([b'a'; 32])?,
                ClientIdentity::ip([192, 0, 2, 1].into()),
                ClientIdentity::user([192, 0, 2, 1])?,
                ClientIdentity::all_of(&[user.clone(), tenant.clone()])?,
                ClientIdentity::all_of(&[tenant.clone(), user.clone()])?,
                ClientIdentity::all_of(std::slice::from_ref(&user))?,
                user,
                tenant,
            ];
            for who in &all {
                store.admitted(who, &once, 1)?;
            }
            for who in &all {
                store.denied(who, &once, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "keys.any_bytes",
        promise: "two different identities never share a bucket, whatever bytes are in them",
        body: |trial| {
            let store = trial.store();
            let once = policy(RateLimitPolicy::per_hour(1))?;
            let names: [&[u8]; 16] = [
                b"a",
                b"A",
                b"a\0",
                b"\0a",
                b"a ",
                b" a",
                b"a\n",
                b"a\r\n",
                b"{a}",
                b"a}",
                b"a/b",
                b"a%2Fb",
                b"*",
                b"\xff",
                b"\xc3\xa4",
                b"a\xcc\x88",
            ];
            for name in names {
                store.admitted(&ClientIdentity::user(name)?, &once, 1)?;
            }
            for name in names {
                store.denied(&ClientIdentity::user(name)?, &once, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "keys.a_crowd_does_not_collide",
        promise: "a digest that stands for an identity is long enough that none collide",
        body: |trial| {
            let store = trial.store();
            let once = policy(RateLimitPolicy::per_hour(1))?;
            for number in 0..3_000 {
                store.admitted(&user(&format!("client {number}"))?, &once, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "keys.a_crowd_washes_off_no_debt",
        promise: "a flood of new keys cannot be used to wash off a client's own debt: entries that \
                  are as good as new go first",
        body: |trial| {
            let store = trial.store();
            let slow = policy(RateLimitPolicy::per_hour(50))?;
            let fast = policy(RateLimitPolicy::per_second(1_000).named("fast"))?;
            let debtor = user("debtor")?;
            store.admitted(&debtor, &slow, 50)?;
            for number in 0..6_000_u64 {
                store.admitted(&user(&format!("passer-by {number}"))?, &fast, 1)?;
                if number % 1_000 == 0 {
                    store.advance_nanos(SECOND / 100);
                }
            }
            ensure!(store.take(&debtor, &slow, 1)?.is_violated(), "the debt was forgotten");
            equal("left", store.remaining(&debtor, &slow)?, 0)
        },
    },
];
