//! How much was admitted, looked at over every interval there is.

use rate_limit_core::RateLimitPolicy;

use crate::support::Asked;

/// A token bucket as a bound: `bursts` times its burst, plus what its rate gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    burst: i128,
    interval_nanos: i128,
}

impl Bound {
    pub(crate) fn of(policy: &RateLimitPolicy) -> Self {
        let window = i128::try_from(policy.window().as_nanos()).unwrap();
        let interval_nanos = window / i128::from(policy.limit());
        Self { burst: i128::from(policy.capacity()), interval_nanos }
    }

    /// The most that was admitted in any interval beyond what the rate gives in it. With one store
    /// and no mishap this is at most the burst.
    ///
    /// `instants` are those by the clock of the store, which need not be sorted.
    pub(crate) fn most(self, instants: impl Iterator<Item = u64>) -> i128 {
        let mut instants: Vec<i128> = instants.map(i128::from).collect();
        instants.sort_unstable();
        let earliest = instants.clone();
        self.over(&earliest, &instants)
    }

    /// The same for admissions of which only is known that they happened between being sent and
    /// being answered. An interval is taken for as long as it can have been, so this is never more
    /// than the truth.
    pub(crate) fn most_between<'a>(self, admitted: impl Iterator<Item = &'a Asked>) -> i128 {
        let mut admitted: Vec<(i128, i128)> =
            admitted.map(|one| (i128::from(one.done), i128::from(one.sent))).collect();
        admitted.sort_unstable();
        // Those that ended from the i-th on were sent no earlier than this.
        let mut earliest: Vec<i128> = admitted.iter().map(|(_, sent)| *sent).collect();
        for index in (1..earliest.len()).rev() {
            earliest[index - 1] = earliest[index - 1].min(earliest[index]);
        }
        let ends: Vec<i128> = admitted.iter().map(|(done, _)| *done).collect();
        self.over(&earliest, &ends)
    }

    /// For all i <= j: those from i to j, less what the rate gives from `earliest[i]` to `ends[j]`,
    /// rounded up. In one pass, since only the best i so far matters.
    fn over(self, earliest: &[i128], ends: &[i128]) -> i128 {
        let (mut least, mut most) = (i128::MAX, 0);
        for (index, (start, end)) in earliest.iter().zip(ends).enumerate() {
            let before = i128::try_from(index).unwrap() * self.interval_nanos;
            least = least.min(before - start);
            most = most.max(before + self.interval_nanos - end - least);
        }
        // n admitted in t are n - floor(t / interval) more than the rate gives.
        (most + self.interval_nanos - 1).div_euclid(self.interval_nanos)
    }

    pub(crate) const fn burst(self) -> i128 {
        self.burst
    }
}

#[test]
fn the_bound_is_exact() {
    let policy = RateLimitPolicy::per_second(10).burst(3).build().unwrap();
    let bound = Bound::of(&policy);
    let tenth = 100_000_000;
    // A burst, then one every tenth of a second: exactly what is allowed.
    let fair = [0, 0, 0, tenth, 2 * tenth, 3 * tenth];
    assert_eq!(bound.most(fair.into_iter()), 3);
    // One comes a nanosecond early, somewhere in the middle.
    let early = [0, 0, 0, tenth, 2 * tenth - 1, 3 * tenth];
    assert_eq!(bound.most(early.into_iter()), 4);
    assert_eq!(bound.most([5 * tenth, 0, 5 * tenth].into_iter()), 2);
    assert_eq!(bound.most([].into_iter()), 0);
}
