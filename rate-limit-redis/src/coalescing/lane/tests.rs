use std::collections::{BTreeSet, VecDeque};

use super::*;

/// A request, by its number.
#[derive(Debug)]
struct Asked {
    number: usize,
    weight: usize,
    is_abandoned: bool,
}

impl Waits for Asked {
    fn weight(&self) -> usize {
        self.weight
    }

    fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }
}

const fn asked(number: usize) -> Asked {
    Asked { number, weight: 1, is_abandoned: false }
}

/// Callers that ask again as soon as they are answered, and a server that answers calls in order.
#[derive(Debug, Default)]
struct Loop {
    /// The calls at the server, each with its callers.
    calls: VecDeque<Call>,
    /// How many callers there were for each call that a task has sent.
    sizes: Vec<usize>,
}

#[derive(Debug)]
enum Call {
    Lead(usize),
    Task(Vec<usize>),
}

impl Loop {
    fn ask(&mut self, lane: &mut Lane<Asked>, number: usize) {
        if lane.lead() {
            self.calls.push_back(Call::Lead(number));
        } else if lane.wait(asked(number)) {
            self.send(lane);
        }
    }

    fn send(&mut self, lane: &mut Lane<Asked>) {
        let next: Vec<usize> = lane.next().iter().map(|asked| asked.number).collect();
        if !next.is_empty() {
            self.sizes.push(next.len());
            self.calls.push_back(Call::Task(next));
        }
    }

    /// The first call returns, and those of its callers who want to ask again.
    fn answer(&mut self, lane: &mut Lane<Asked>, asks_again: impl Fn(usize) -> bool) -> Vec<usize> {
        match self.calls.pop_front() {
            None => Vec::new(),
            Some(Call::Lead(number)) => {
                lane.stop_leading();
                if asks_again(number) {
                    self.ask(lane, number);
                }
                vec![number]
            }
            Some(Call::Task(numbers)) => {
                lane.returned(numbers.len());
                for &number in numbers.iter().filter(|number| asks_again(**number)) {
                    self.ask(lane, number);
                }
                self.send(lane);
                numbers
            }
        }
    }
}

/// However the callers come, before long there are as many calls as may be, none larger than a share
/// and none smaller than a half of it, and nobody is passed over.
#[test]
fn callers_who_keep_asking_are_shared_out_evenly() {
    for callers in [5, 16, 64, 300] {
        let (mut lane, mut server) = (Lane::new(), Loop::default());
        (0..callers).for_each(|number| server.ask(&mut lane, number));
        (0..12 * CALLS).for_each(|_| drop(server.answer(&mut lane, |_| true)));
        let even = callers.div_ceil(CALLS).min(MAX_WEIGHT);
        let mut seen = BTreeSet::new();
        for _ in 0..CALLS * 2 {
            assert_eq!(server.calls.len(), CALLS, "{callers} callers");
            seen.extend(server.answer(&mut lane, |_| true));
        }
        assert_eq!(seen.len(), callers);
        let last = server.sizes.iter().rev().take(CALLS * 2);
        assert!(last.clone().all(|size| even / 2 <= *size && *size <= even), "{last:?} of {even}");
    }
}

/// When nobody asks any more, everybody has been answered and nothing of the lane is left.
#[test]
fn nobody_is_left_behind() {
    let mut random = fastrand::Rng::with_seed(20_261_127);
    for callers in (1..40).chain([64, 300, 1_000]) {
        let (mut lane, mut server) = (Lane::new(), Loop::default());
        (0..callers).for_each(|number| server.ask(&mut lane, number));
        for _ in 0..20 {
            let some: Vec<bool> = (0..callers).map(|_| random.u8(0..10) > 0).collect();
            server.answer(&mut lane, |number| some[number]);
        }
        while !server.calls.is_empty() {
            server.answer(&mut lane, |_| false);
        }
        assert!(lane.is_idle() && lane.waiting.is_empty() && lane.under_way == 0, "{lane:?}");
    }
}

#[test]
fn a_few_callers_make_their_calls_by_themselves() {
    let mut lane = Lane::<Asked>::new();
    for _ in 0..CALLS {
        assert!(lane.lead());
    }
    assert!(!lane.lead());
    lane.stop_leading();
    assert!(lane.lead());
}

/// Callers that lead may be slow to go on, or never go on: nobody waits for them.
#[test]
fn who_has_to_wait_has_a_task() {
    let mut lane = Lane::new();
    while lane.lead() {}
    assert!(lane.wait(asked(7)));
    assert_eq!(lane.next().len(), 1);
    // Until the first of two calls has returned, a second task starts only for a share.
    assert!(!lane.wait(asked(8)));
    lane.returned(1);
    assert_eq!(lane.next().iter().map(|asked| asked.number).collect::<Vec<_>>(), [8]);
}

#[test]
fn who_has_gone_away_is_not_sent() {
    let mut lane = Lane::new();
    while lane.lead() {}
    assert!(lane.wait(Asked { is_abandoned: true, ..asked(0) }));
    lane.wait(asked(1));
    assert_eq!(lane.next().iter().map(|asked| asked.number).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_call_carries_no_more_keys_than_the_server_should_work_on_at_once() {
    let mut lane = Lane::new();
    while lane.lead() {}
    for number in 0..20 * CALLS {
        lane.wait(Asked { weight: MAX_WEIGHT / 4, ..asked(number) });
    }
    assert_eq!(lane.next().len(), 4);
    // One that is heavier goes alone.
    let mut lane = Lane::new();
    while lane.lead() {}
    lane.wait(Asked { weight: MAX_WEIGHT + 1, ..asked(0) });
    for number in 1..20 {
        lane.wait(asked(number));
    }
    assert_eq!(lane.next().len(), 1);
    assert!(lane.next().len() > 1);
}
