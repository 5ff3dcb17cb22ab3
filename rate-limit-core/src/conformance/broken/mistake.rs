//! The list of mistakes.

use super::Broken;

/// One way to be wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mistake {
    None,
    AddsOnlyIfAllFits,
    AsksOnlyTheFirstPolicy,
    BanIsItsOnlyWait,
    BanSparesTheCurious,
    BelievesAStepBack,
    ChargesOnDenial,
    ChargesOneByOne,
    ChargesShadowOfDenied,
    ChargesShadowWithoutRoom,
    ClockInMilliseconds,
    CountsAlignedOnTheWrongClock,
    CountsDocumentsAnew,
    CutsLongIdentities,
    DecidesThenCharges,
    ForgetsLadderWithTheBucket,
    ForgetsLeastRecentlyUsed,
    ForgivesNoLevel,
    HashesTooShort,
    HealsWithoutWriting,
    IgnoresCase,
    IgnoresCost,
    IgnoresPolicyName,
    KeysByLimit,
    KeysByNameOnly,
    LosesPartsOfUnits,
    MixesDocuments,
    MixesKinds,
    NeverSettles,
    NeverSteps,
    OverwritesDocuments,
    PromisesNeverAsLater,
    ReadsThenWrites,
    ReadsThenWritesDocuments,
    RefundsAnotherEntry,
    RefundsClosedWindows,
    RefundsMoreThanCharged,
    RefundsPaidUnits,
    RemainingBeforeTheCharge,
    ResetOfAnEmptyBucket,
    ReversesOutcomes,
    RoundsWaitsDown,
    RoundsWaitsUp,
    SettlesOnlyTheFirst,
    ShadowDenies,
    ShadowStrikes,
    SkipsShadow,
    StrikesDuringBan,
    StrikesForOthers,
    StrikesOnAsking,
    StrikeWindowSlides,
    UnitsIn32Bits,
    ZeroIsDenied,
    ZeroTakesOne,
}

const fn broken(kind: Mistake, mistake: &'static str, caught_by: &'static str) -> Broken {
    Broken { mistake, caught_by, kind }
}

pub(super) const TABLE: &[Broken] = {
    use Mistake::*;
    &[
        // Under contention.
        broken(ReadsThenWrites, "reads, then writes", "contention.exactly_the_burst"),
        broken(DecidesThenCharges, "decides, then charges", "contention.crossed_orders"),
        broken(
            LosesPartsOfUnits,
            "forgets at each denial what time has given back of a unit",
            "contention.while_time_passes",
        ),
        // Several policies.
        broken(ChargesOneByOne, "charges one before it tests the next", "several.all_or_nothing"),
        broken(AsksOnlyTheFirstPolicy, "lets the first policy decide", "several.all_or_nothing"),
        broken(ReversesOutcomes, "answers in another order", "several.all_are_charged"),
        broken(ShadowDenies, "denies what a shadow would", "shadow.never_denies"),
        broken(SkipsShadow, "does not charge shadows", "shadow.with_room_is_charged"),
        broken(
            ChargesShadowWithoutRoom,
            "charges a shadow without room",
            "shadow.without_room_is_untouched",
        ),
        broken(
            ChargesShadowOfDenied,
            "charges the shadows of a denied request",
            "shadow.of_a_denied_request_is_untouched",
        ),
        // Denials and costs.
        broken(ChargesOnDenial, "charges on denial", "denial.writes_nothing"),
        broken(IgnoresCost, "takes one unit, whatever the cost", "cost.every_unit_counts"),
        broken(ZeroTakesOne, "takes one unit at a cost of zero", "cost.zero_writes_nothing"),
        broken(ZeroIsDenied, "denies a cost of zero", "cost.zero_is_allowed"),
        broken(UnitsIn32Bits, "counts in 32 bits", "cost.above_capacity_is_never"),
        broken(PromisesNeverAsLater, "tells Never as a wait", "cost.above_capacity_is_never"),
        // What is told.
        broken(RoundsWaitsDown, "rounds waits down", "told.wait_is_exact"),
        broken(RoundsWaitsUp, "rounds waits up", "rates.up_to_a_million_per_second"),
        broken(
            ClockInMilliseconds,
            "reads its clock in milliseconds",
            "told.wait_is_exact_below_a_millisecond",
        ),
        broken(
            RemainingBeforeTheCharge,
            "tells what remained before the charge",
            "told.remaining_can_be_taken",
        ),
        broken(
            ResetOfAnEmptyBucket,
            "tells the reset of an empty bucket",
            "told.reset_is_when_nothing_is_missing",
        ),
        // Clocks.
        broken(BelievesAStepBack, "believes a step back", "time.stepping_back_refills_nothing"),
        broken(NeverSteps, "waits until a clock catches up", "time.stepping_back_locks_nobody_out"),
        broken(
            HealsWithoutWriting,
            "brings states back without writing",
            "time.healing_is_written_on_denial",
        ),
        broken(
            CountsAlignedOnTheWrongClock,
            "aligns windows on the monotonic clock",
            "time.aligned_windows_follow_the_time_of_day",
        ),
        // Keys.
        broken(HashesTooShort, "cuts digests to twelve bits", "keys.a_crowd_does_not_collide"),
        broken(MixesKinds, "drops the kind of an identity", "keys.kinds_do_not_mix"),
        broken(CutsLongIdentities, "cuts identities at 256 bytes", "keys.long_identities"),
        broken(IgnoresCase, "ignores case", "keys.any_bytes"),
        broken(
            IgnoresPolicyName,
            "leaves the policy's name out of the key",
            "versions.another_name_is_another_bucket",
        ),
        broken(
            KeysByLimit,
            "starts anew when the limit changes",
            "versions.windows_keep_the_used_count",
        ),
        broken(
            KeysByNameOnly,
            "leaves the algorithm out of the key",
            "versions.another_algorithm_is_another_bucket",
        ),
        broken(
            ForgetsLeastRecentlyUsed,
            "forgets the least recently used key",
            "keys.a_crowd_washes_off_no_debt",
        ),
        // Ladders.
        broken(StrikesDuringBan, "strikes during a ban", "ladder.nothing_is_written_during_a_ban"),
        broken(StrikesOnAsking, "strikes who only asks", "ladder.asking_is_no_strike"),
        broken(StrikesForOthers, "strikes for others' denials", "ladder.admission_is_no_strike"),
        broken(ShadowStrikes, "strikes in the shadow", "ladder.shadow_never_strikes"),
        broken(BanSparesTheCurious, "bans no questions", "ladder.a_ban_outweighs_the_bucket"),
        broken(BanIsItsOnlyWait, "tells only the ban's end", "ladder.the_longer_wait_counts"),
        broken(ForgivesNoLevel, "forgives no level", "ladder.levels_decay"),
        broken(
            ForgetsLadderWithTheBucket,
            "forgets bans with a full bucket",
            "ladder.survives_the_bucket",
        ),
        broken(
            StrikeWindowSlides,
            "counts strikes from the last one on",
            "random.equals_the_model",
        ),
        // Settling.
        broken(NeverSettles, "never settles", "settle.a_refund_at_once_undoes_the_charge"),
        broken(
            RefundsPaidUnits,
            "gives back what time has given back",
            "settle.time_pays_for_a_charge_from_its_moment",
        ),
        broken(
            RefundsMoreThanCharged,
            "gives back more than was charged",
            "settle.a_refund_of_a_part",
        ),
        broken(
            RefundsClosedWindows,
            "gives back into a later window",
            "settle.a_fixed_window_while_it_is_open",
        ),
        broken(RefundsAnotherEntry, "gives back the oldest entry", "settle.a_log_its_own_entry"),
        broken(
            AddsOnlyIfAllFits,
            "adds only what fits as a whole",
            "settle.adding_saturates_at_full_debt",
        ),
        broken(
            SettlesOnlyTheFirst,
            "settles only the first adjustment",
            "settle.each_adjustment_by_itself",
        ),
        // Documents.
        broken(
            MixesDocuments,
            "keeps one document for all names",
            "documents.are_read_as_they_were_written",
        ),
        broken(
            OverwritesDocuments,
            "writes, whatever version is expected",
            "documents.change_only_as_expected",
        ),
        broken(
            CountsDocumentsAnew,
            "counts versions anew after a deletion",
            "documents.versions_are_not_used_twice",
        ),
        broken(
            ReadsThenWritesDocuments,
            "compares, then writes",
            "documents.one_of_many_writers_succeeds",
        ),
    ]
};
