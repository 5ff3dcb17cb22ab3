//! How long to wait before trying again.

use std::time::Duration;

/// A random time from zero to `bound`, all equally likely: what spreads a herd best.
pub(crate) fn full_jitter(random: &mut fastrand::Rng, bound: Duration) -> Duration {
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.u64(0..=nanos))
}

/// Waits that grow from one failed attempt to the next.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    bound: Duration,
    /// Seeded by the operating system: a constant seed would let all processes return together.
    random: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, bound: first, random: fastrand::Rng::new() }
    }

    /// The next wait. Its bound doubles each time, up to the longest.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let wait = full_jitter(&mut self.random, self.bound);
        self.bound = self.bound.saturating_mul(2).min(self.longest);
        wait
    }

    /// Begins anew with the shortest wait.
    pub(crate) fn reset(&mut self) {
        self.bound = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_millis(500);

    #[test]
    fn waits_grow_to_the_longest_and_no_further() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        for bound in [50, 100, 200, 400, 500, 500, 500] {
            assert!(backoff.next_wait() <= Duration::from_millis(bound));
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    #[test]
    fn two_processes_do_not_wait_alike() {
        let waits = || {
            let mut backoff = Backoff::new(LONGEST, LONGEST);
            [(); 8].map(|()| backoff.next_wait())
        };
        // Eight draws of half a billion values each: they agree only if the seed is constant.
        assert_ne!(waits(), waits());
    }

    #[test]
    fn jitter_reaches_both_ends_of_its_range() {
        let mut random = fastrand::Rng::with_seed(1);
        let draws: Vec<_> = (0..1_000).map(|_| full_jitter(&mut random, LONGEST)).collect();
        assert!(draws.iter().any(|wait| *wait < LONGEST / 10));
        assert!(draws.iter().any(|wait| *wait > LONGEST / 10 * 9));
    }
}
