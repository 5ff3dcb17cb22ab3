use std::time::Duration;

use rate_limit_core::conformance::ModelRepository;
use rate_limit_core::{
    Answer, ClientIdentity, ManualClock, PenaltyLadder, RateLimitRepository, Wait,
};
use redis_testbed::RedisServer;
use tokio::runtime::Handle;

use super::*;
use crate::coalescing::Coalescer;
use crate::guard::breaker::BreakerLimits;
use crate::health::Reporter;
use crate::key::IdentityForm;
use crate::link::{Link, LinkOptions, Patience, Slot};
use crate::url::RedisUrl;

type Policy = Arc<RateLimitPolicy>;

/// What clients, headers and the next request go by.
type Told = (PolicyVerdict, u64, u64, Wait);

struct Generator {
    random: fastrand::Rng,
    buckets: Vec<Policy>,
    others: Vec<Policy>,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let bucket = |limit: u64, name: &str| RateLimitPolicy::per_second(limit).named(name);
        let ladder = PenaltyLadder::after(2, Duration::from_secs(5));
        let built = |builder: rate_limit_core::RateLimitPolicyBuilder| {
            builder.build().map(Arc::new).unwrap()
        };
        let buckets = [
            built(bucket(3, "three")),
            built(bucket(7, "seven").burst(4)),
            built(RateLimitPolicy::per_minute(7).named("slow")),
            built(bucket(2, "shadow").shadow()),
        ];
        let others = [
            built(bucket(2, "laddered").penalty(ladder)),
            built(bucket(5, "window").fixed_window()),
        ];
        let random = fastrand::Rng::with_seed(seed);
        Self { random, buckets: buckets.into(), others: others.into() }
    }

    fn client(&mut self, of: u64) -> ClientIdentity {
        ClientIdentity::user(format!("client {}", self.random.u64(0..of))).unwrap()
    }

    fn units(&mut self) -> u64 {
        // Now and then nothing, and more than ever fits.
        [1, 1, 1, 2, 3, 0, 100][self.random.usize(0..7)]
    }

    /// Each client asks for the same, and none twice.
    fn alike(&mut self) -> Vec<Charges> {
        self.random.shuffle(&mut self.buckets);
        let shape: Vec<(Policy, u64)> = (0..self.random.usize(1..4))
            .map(|index| (self.buckets[index].clone(), self.units()))
            .collect();
        let first = self.random.u64(0..8);
        (0..self.random.u64(1..7))
            .map(|number| {
                let who = ClientIdentity::user(format!("client {}", (first + number) % 8)).unwrap();
                shape.iter().map(|(p, units)| Charge::new(who.clone(), p.clone(), *units)).collect()
            })
            .collect()
    }

    /// Anybody asks for anything.
    fn mixed(&mut self) -> Vec<Charges> {
        let with_others = self.random.bool();
        (0..self.random.usize(1..9))
            .map(|_| {
                let mut policies = self.buckets.clone();
                if with_others {
                    policies.extend(self.others.iter().cloned());
                }
                self.random.shuffle(&mut policies);
                policies.truncate(self.random.usize(1..4));
                let who = self.client(3);
                let charge = |policy| Charge::new(who.clone(), policy, self.units());
                policies.into_iter().map(charge).collect()
            })
            .collect()
    }
}

fn told(outcomes: &Outcomes) -> Vec<Told> {
    outcomes.iter().map(|it| (it.verdict, it.remaining, it.reset_nanos, it.wait)).collect()
}

/// Whichever script decides a call, and whatever travels together, every request gets the answer
/// that it would have got alone, one after the other.
#[tokio::test]
async fn calls_of_every_shape_equal_the_model() {
    let server = RedisServer::start().unwrap();
    let options = LinkOptions {
        url: RedisUrl::parse(&server.url()).unwrap(),
        // A busy machine is no reason for a wrong answer.
        deadline: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(60),
        max_in_flight: 1_024,
        breaker: BreakerLimits::DEFAULT,
        #[cfg(feature = "tls")]
        encryption: None,
    };
    let link = Link::open(options, &Handle::current(), Arc::new(Reporter::new()));
    let node = link.node(Slot::ONLY).unwrap();
    while node.absence().is_some() {
        tokio::task::yield_now().await;
    }
    let ring = KeyRing::new("calls", None, IdentityForm::Digest).unwrap();
    let clock = ManualClock::new();
    let given: Arc<dyn rate_limit_core::Clock> = Arc::new(clock.clone());
    let coalescer = Coalescer::<Deciding>::new(link, ring.clone(), Some(given), Handle::current());
    let model = ModelRepository::new(clock.clone());

    let mut generator = Generator::new(20_261_127);
    // Requests by the script that decided them, and how many of these were denied.
    let mut decided = [
        ("single", &*DECIDE_SINGLE, 0, 0),
        ("alike", &*DECIDE_ALIKE, 0, 0),
        ("buckets", &*DECIDE_BUCKETS, 0, 0),
        ("all", &*DECIDE, 0, 0),
    ];
    for _ in 0..1_500 {
        clock.advance(Duration::from_nanos(generator.random.u64(0..400_000_000)));
        let call = if generator.random.bool() { generator.alike() } else { generator.mixed() };
        let requests: Vec<Box<Deciding>> = call
            .iter()
            .map(|charges| Deciding::new(charges.clone(), Taking::AllOrNothing))
            .collect();
        let requests: Vec<&Deciding> = requests.iter().map(|request| &**request).collect();
        let script = Deciding::call(&requests, &ring, None).0.script();
        let answers = coalescer.send(Slot::ONLY, &requests, Patience::Deadline).await.unwrap();
        for (charges, answer) in call.iter().zip(answers) {
            let Answer::Ready(Ok(expected)) = model.acquire(charges) else { panic!("no answer") };
            assert_eq!(told(&answer.unwrap().outcomes), told(&expected), "{charges:?} in {call:?}");
            let counted = decided.iter_mut().find(|it| std::ptr::eq(it.1, script)).unwrap();
            counted.2 += 1;
            counted.3 += usize::from(expected.iter().any(Outcome::is_violated));
        }
    }
    for (name, _, requests, denied) in decided {
        println!("{name}: {requests} requests, {denied} with a denial");
        assert!(requests > 500 && denied > 100 && requests - denied > 100, "{name}: {requests}");
    }
}
