//! What our store is compared with besides its peers: a map, and the least that is possible.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use rate_limit_core::{Charge, ClientIdentity, Clock, Now, Record, Timestamp, evaluate_one};

/// The decision of the domain on records in a concurrent map: what a store is without a table of its
/// own. One policy, no cap.
#[derive(Debug)]
pub struct MapStore<C> {
    records: DashMap<ClientIdentity, Record>,
    clock: C,
}

impl<C: Clock> MapStore<C> {
    /// An empty map.
    pub fn new(clock: C) -> Self {
        Self { records: DashMap::new(), clock }
    }

    /// Decides one charge.
    pub fn decide(&self, charge: &Charge) -> bool {
        let identity = charge.identity();
        let mut record = match self.records.get_mut(identity) {
            Some(record) => record,
            None => self.records.entry(identity.clone()).or_default(),
        };
        let now = Now { monotonic: self.clock.now(), utc: Timestamp::ORIGIN };
        !evaluate_one(charge, &mut record, now).is_violated()
    }
}

/// A table of 16-byte places, an address's digest and an instant, which is the least that a limiter
/// by GCRA can be: no cap, no eviction, one policy, nothing told but yes or no.
#[derive(Debug)]
pub struct Floor<C> {
    places: Box<[[AtomicU64; 2]]>,
    hasher: RandomState,
    clock: C,
    interval_nanos: u64,
    burst_nanos: u64,
}

impl<C: Clock> Floor<C> {
    /// Twice as many places as `keys`, under a limit of `burst` and one unit per `interval_nanos`.
    pub fn new(clock: C, keys: usize, burst: u64, interval_nanos: u64) -> Self {
        let place = || [AtomicU64::new(0), AtomicU64::new(0)];
        Self {
            places: std::iter::repeat_with(place).take((keys * 2).next_power_of_two()).collect(),
            hasher: RandomState::new(),
            clock,
            interval_nanos,
            burst_nanos: burst * interval_nanos,
        }
    }

    /// Takes one unit from the bucket of an address.
    pub fn decide(&self, address: &IpAddr) -> bool {
        let digest = self.hasher.hash_one(address) | 1;
        let full_at = self.place(digest);
        let now = self.clock.now().as_nanos();
        let mut stored = full_at.load(Ordering::Relaxed);
        loop {
            let next = stored.max(now) + self.interval_nanos;
            if next - now > self.burst_nanos {
                return false;
            }
            match full_at.compare_exchange_weak(stored, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(other) => stored = other,
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "the place needs few of the bits")]
    fn place(&self, digest: u64) -> &AtomicU64 {
        let mask = self.places.len() - 1;
        let mut number = (digest >> 32) as usize & mask;
        loop {
            let [owner, full_at] = &self.places[number];
            let found = owner.load(Ordering::Relaxed);
            let is_mine = found == digest
                || found == 0
                    && match owner.compare_exchange(0, digest, Ordering::Relaxed, Ordering::Relaxed)
                    {
                        Ok(_) => true,
                        Err(other) => other == digest,
                    };
            if is_mine {
                return full_at;
            }
            number = (number + 1) & mask;
        }
    }
}
