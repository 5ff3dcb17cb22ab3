//! A store and the model, living through the same events.

use std::time::Duration;

use super::RandomRun;
use super::bounds::{Admissions, Ticket};
use super::compare::{compare, name};
use super::policies::Family;
use super::prng::Prng;
use super::requests;
use crate::adjustment::{Adjusted, Adjustment, Adjustments, Change};
use crate::algorithm::{Algorithm, Wait};
use crate::charge::Charge;
use crate::conformance::executor::block_on;
use crate::conformance::model::ModelRepository;
use crate::conformance::subject::{Profile, Subject};
use crate::conformance::trial::{Checked, ensure};
use crate::identity::ClientIdentity;
use crate::manual_clock::ManualClock;
use crate::outcome::Outcome;
use crate::repository::RateLimitRepository;
use crate::time::{Clock, Now, TimeAxis, Timestamp, saturating_nanos};

/// Time does not pass this instant, about the year 2255, so that nothing saturates.
const END_OF_TIME: u64 = 9_000_000_000_000_000_000;
/// Charges that are remembered for a later correction.
const RECEIPTS: usize = 60;

/// A run from a fresh store.
pub(super) struct Episode {
    profile: Profile,
    random: Prng,
    clock: ManualClock,
    store: Box<dyn RateLimitRepository>,
    model: ModelRepository,
    families: Vec<Family>,
    identities: Vec<ClientIdentity>,
    /// By family, then by identity.
    admissions: Vec<Vec<Admissions>>,
    receipts: Vec<Receipt>,
    /// The waits and resets of the latest answer: the most interesting instants.
    told_nanos: Vec<u64>,
    steps: u64,
    history: Option<Vec<String>>,
}

/// A charge that was taken by both.
struct Receipt {
    charge: Charge,
    store_mark: Timestamp,
    model_mark: Timestamp,
    bucket: (usize, usize),
    ticket: Ticket,
}

impl Episode {
    pub(super) fn new(profile: Profile, subject: &dyn Subject, seed: u64, number: u64) -> Self {
        let clock = ManualClock::new();
        Self {
            profile,
            random: Prng::new(seed, number),
            store: subject.fresh(clock.clone()),
            model: ModelRepository::new(clock.clone()),
            clock,
            families: Vec::new(),
            identities: Vec::new(),
            admissions: Vec::new(),
            receipts: Vec::new(),
            told_nanos: Vec::new(),
            steps: 0,
            history: None,
        }
    }

    pub(super) fn with_history(self) -> Self {
        Self { history: Some(Vec::new()), ..self }
    }

    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn history(self) -> Vec<String> {
        self.history.unwrap_or_default()
    }

    pub(super) fn run(&mut self, steps: u64, run: &mut RandomRun) -> Checked {
        self.identities = requests::identities()?;
        for number in 0..self.random.index(4) + 2 {
            self.families.push(Family::new(&mut self.random, number)?);
        }
        self.admissions.resize_with(self.families.len(), || {
            self.identities.iter().map(|_| Admissions::default()).collect()
        });
        for _ in 0..steps {
            self.steps += 1;
            run.steps += 1;
            match self.random.between(1, 100) {
                1..=84 => self.request(run)?,
                85..=95 => self.settle(run)?,
                96..=97 => self.change_limits()?,
                98 if self.profile == Profile::Atomic => self.step_back()?,
                _ => {}
            }
            self.pass_time();
        }
        self.admissions.iter_mut().flatten().try_for_each(Admissions::close)
    }

    fn request(&mut self, run: &mut RandomRun) -> Checked {
        let charges = requests::charges(&mut self.random, &self.families, &self.identities);
        let seen = block_on(self.store.acquire(&charges))?;
        let expected = block_on(self.model.acquire(&charges))?;
        self.note(|| {
            let answer = |(charge, outcome): (&Charge, &Outcome)| {
                let (policy, units, left) = (charge.policy(), charge.units(), outcome.remaining);
                let verdict = outcome.verdict;
                format!(
                    "{units} for {} of {policy}: {verdict:?}, {left} left",
                    name(charge.identity())
                )
            };
            let answers = charges.iter().zip(seen.iter()).map(answer);
            format!("take {}", answers.collect::<Vec<_>>().join(" + "))
        });
        ensure!(
            seen.len() == charges.len(),
            "{} outcomes for {} charges",
            seen.len(),
            charges.len()
        );
        self.told_nanos.clear();
        let now = self.now();
        let mut violated = false;
        for (charge, (seen, expected)) in charges.iter().zip(seen.iter().zip(expected.iter())) {
            compare(charge, seen, expected)?;
            violated |= seen.is_violated() && charge.policy().is_enforced();
            self.remember(charge, seen, expected, now)?;
        }
        *(if violated { &mut run.denied } else { &mut run.allowed }) += 1;
        Ok(())
    }

    fn remember(
        &mut self,
        charge: &Charge,
        seen: &Outcome,
        expected: &Outcome,
        now: Now,
    ) -> Checked {
        if let Wait::After(nanos) = seen.wait {
            self.told_nanos.push(nanos);
        }
        self.told_nanos.push(seen.reset_nanos);
        if let (true, Some(ladder)) = (seen.is_violated(), charge.policy().penalty()) {
            self.told_nanos.extend([ladder.within(), ladder.decay()].map(saturating_nanos));
        }
        let Some(bucket) = self.bucket(charge) else {
            return Ok(());
        };
        let Some(admissions) = self.admissions_of(bucket) else {
            return Ok(());
        };
        let policy = charge.policy();
        admissions.under(policy)?;
        let (Some(store_mark), Some(model_mark)) = (seen.charged, expected.charged) else {
            return Ok(());
        };
        let ticket = admissions.admit(policy, now.on(policy.axis()).as_nanos(), charge.units())?;
        if self.receipts.len() == RECEIPTS {
            let lost = self.random.index(RECEIPTS);
            self.receipts.swap_remove(lost);
        }
        let charge = charge.clone();
        self.receipts.push(Receipt { charge, store_mark, model_mark, bucket, ticket });
        Ok(())
    }

    fn settle(&mut self, run: &mut RandomRun) -> Checked {
        let number = self.random.index(3) + 1;
        let mut corrections: Vec<(Receipt, Change)> = Vec::new();
        while corrections.len() < number && !self.receipts.is_empty() {
            let index = self.random.index(self.receipts.len());
            let receipt = self.receipts.swap_remove(index);
            let change = requests::change(&mut self.random, receipt.charge.units());
            corrections.push((receipt, change));
        }
        let for_store: Adjustments =
            corrections.iter().map(|(it, change)| it.adjustment(it.store_mark, *change)).collect();
        let for_model: Adjustments =
            corrections.iter().map(|(it, change)| it.adjustment(it.model_mark, *change)).collect();
        let seen: Vec<Adjusted> =
            block_on(self.store.settle(&for_store))?.iter().copied().collect();
        let expected: Vec<Adjusted> =
            block_on(self.model.settle(&for_model))?.iter().copied().collect();
        self.note(|| {
            let changes = corrections.iter().map(|(receipt, change)| {
                let (who, policy) = (name(receipt.charge.identity()), receipt.charge.policy());
                format!("{change:?} of {} for {who} of {policy}", receipt.charge.units())
            });
            format!("settle {}: {seen:?}", changes.collect::<Vec<_>>().join(" + "))
        });
        ensure!(seen == expected, "settled as {seen:?} instead of {expected:?}");
        for ((receipt, _), adjusted) in corrections.iter().zip(&seen) {
            if let Some(admissions) = self.admissions_of(receipt.bucket) {
                admissions.refund(receipt.charge.policy(), receipt.ticket, adjusted.returned)?;
            }
        }
        run.settled += 1;
        Ok(())
    }

    fn change_limits(&mut self) -> Checked {
        let index = self.random.index(self.families.len());
        let Some(family) = self.families.get_mut(index) else {
            return Ok(());
        };
        family.add_version(&mut self.random)?;
        let newest = family.versions.last().map(ToString::to_string).unwrap_or_default();
        self.note(|| format!("change limits to {newest}"));
        Ok(())
    }

    /// Steps both axes back, as far as all stores have to agree on the past.
    fn step_back(&mut self) -> Checked {
        let now = self.now();
        let room = |axis| {
            let earliest = self.model.earliest_common_past(axis, now.on(axis));
            now.on(axis).nanos_since(earliest)
        };
        let most = room(TimeAxis::Monotonic).min(room(TimeAxis::Utc));
        if most == 0 {
            return Ok(());
        }
        self.admissions.iter_mut().flatten().try_for_each(Admissions::set_back)?;
        // Told waits lead the clock back to the very instant of an earlier charge, where a mark is
        // no longer enough to tell two charges apart. A token bucket need not tell them apart.
        self.receipts
            .retain(|it| matches!(it.charge.policy().algorithm(), Algorithm::TokenBucket(_)));
        let nanos = self.random.of_any_size(most);
        self.note(|| format!("step back {nanos} ns"));
        self.clock.step_back(Duration::from_nanos(nanos));
        Ok(())
    }

    fn pass_time(&mut self) {
        let random = &mut self.random;
        let told = random.one_of(&self.told_nanos).copied().unwrap_or(0);
        let nanos = match random.between(1, 100) {
            1..=45 => 0,
            46..=62 => told,
            63..=72 => told.saturating_sub(1),
            73..=76 => told.saturating_add(1),
            77..=83 => told / random.between(2, 5),
            84..=88 => random.between(1, 3),
            89..=95 => random.of_any_size(1_000_000_000),
            96..=98 => random.of_any_size(100_000_000_000_000),
            _ => told.saturating_mul(2),
        };
        if nanos == 0 || nanos > END_OF_TIME - self.clock.utc_now().as_nanos() {
            return;
        }
        self.note(|| format!("advance {nanos} ns"));
        self.clock.advance(Duration::from_nanos(nanos));
    }

    fn now(&self) -> Now {
        Now { monotonic: self.clock.now(), utc: self.clock.utc_now() }
    }

    fn bucket(&self, charge: &Charge) -> Option<(usize, usize)> {
        let name = charge.policy().name();
        let has_name =
            |family: &Family| family.versions.first().is_some_and(|version| version.name() == name);
        let family = self.families.iter().position(has_name)?;
        let identity = self.identities.iter().position(|it| it == charge.identity())?;
        Some((family, identity))
    }

    fn admissions_of(&mut self, (family, identity): (usize, usize)) -> Option<&mut Admissions> {
        self.admissions.get_mut(family)?.get_mut(identity)
    }

    fn note(&mut self, event: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(event());
        }
    }
}

impl Receipt {
    fn adjustment(&self, charged: Timestamp, change: Change) -> Adjustment {
        Adjustment {
            identity: self.charge.identity().clone(),
            policy: self.charge.policy().clone(),
            charged,
            units: self.charge.units(),
            change,
        }
    }
}
