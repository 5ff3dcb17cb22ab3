//! Sentinels and a cluster replace a master that was killed while its keys were in use.

use std::time::Duration;

use rate_limit_core::{ClientIdentity, FailureMode, RateLimitPolicy, Verdict};
use redis_testbed::{ClusterBed, SentinelBed};

use crate::bounds::Bound;
use crate::support::{
    Asked, Load, Policy, Stack, eventually, now, percentile, policy, user, wall_nanos,
};

const DOWN_AFTER: Duration = Duration::from_millis(1_000);

fn limit() -> Policy {
    policy(RateLimitPolicy::per_second(100).on_failure(FailureMode::Deny))
}

/// The longest time in which the store admitted nothing, by its own clock.
fn longest_gap(asked: &[Asked]) -> Duration {
    let mut instants: Vec<u64> = asked.iter().filter_map(|one| one.charged).collect();
    instants.sort_unstable();
    let gaps = instants.windows(2).map(|pair| pair[1] - pair[0]);
    Duration::from_nanos(gaps.max().unwrap_or_default())
}

fn check_g9(name: &str, asked: &[Asked], policy: &Policy) {
    let bound = Bound::of(policy);
    let most = bound.most(asked.iter().filter_map(|one| one.charged));
    println!(
        "{name} (G9): {most} admitted beyond the rate, burst {}; no admission for {:?}; p99 {:?}, \
         longest decision {:?}",
        bound.burst(),
        longest_gap(asked),
        percentile(asked.iter(), 990),
        percentile(asked.iter(), 1_000),
    );
    assert!(most <= 2 * bound.burst(), "{name}: one failover costs at most one burst: {most}");
    assert!(asked.iter().all(|one| one.verdict != Verdict::Allow || one.charged.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn s01_a_killed_master_is_replaced_and_costs_at_most_one_burst() {
    let bed = SentinelBed::start(DOWN_AFTER).unwrap();
    let (stack, policy) = (Stack::open(&bed.url()), limit());
    stack.is_served(&policy).await;
    let load = Load::start(&stack, 2, &policy);
    load.goes_on_for(2_000).await;
    let master = bed.master().unwrap();
    master.kill().unwrap();
    let killed = now();
    let killed_at = wall_nanos();
    let served = async || !stack.ask(&user("nobody"), &policy).await.decision.is_degraded();
    eventually("the outage is noticed", async || !served().await).await;
    eventually("another master decides", served).await;
    println!("S01: decisions by the store again {:?} after the kill", killed.elapsed());
    load.goes_on_for(2_000).await;
    let asked = load.stop().await;
    check_g9("S01", &asked, &policy);
    assert!(asked.iter().any(|one| one.charged.is_some_and(|at| at > killed_at)));
}

/// A master that only one process still reaches goes on until it misses its replicas; meanwhile the
/// others have another one.
#[tokio::test(flavor = "multi_thread")]
async fn g9_two_masters_admit_for_no_longer_than_the_replicas_may_lag() {
    // Long enough for another master to begin meanwhile.
    let lag = Duration::from_secs(5);
    let bed = SentinelBed::start_behind_proxy(DOWN_AFTER, |server| {
        server
            .option("min-replicas-to-write", "1")
            .option("min-replicas-max-lag", &lag.as_secs().to_string())
    })
    .unwrap();
    let (network, policy) = (bed.proxy().unwrap(), limit());
    let cut_off = Stack::open(&bed.servers()[0].url());
    let others = Stack::open(&bed.url());
    for stack in [&cut_off, &others] {
        stack.is_served(&policy).await;
    }
    let loads = [&cut_off, &others].map(|stack| Load::start(stack, 2, &policy));
    loads[1].goes_on_for(2_000).await;

    network.black_hole().unwrap();
    let cut_at = wall_nanos();
    let nobody = user("nobody");
    let is_served = async |stack: &Stack| !stack.ask(&nobody, &policy).await.decision.is_degraded();
    // The first to notice are those whom the network has lost.
    eventually("the outage is noticed", async || !is_served(&others).await).await;
    eventually("another master decides", async || is_served(&others).await).await;
    eventually("the lonely master refuses", async || !is_served(&cut_off).await).await;
    loads[1].goes_on_for(2_000).await;
    let [lonely, others] = loads;
    let (lonely, others) = (lonely.stop().await, others.stop().await);

    let instants = |asked: &[Asked]| asked.iter().filter_map(|one| one.charged).collect::<Vec<_>>();
    let (lonely, others) = (instants(&lonely), instants(&others));
    let last = lonely.iter().copied().max().unwrap();
    let first = others.iter().copied().filter(|at| *at > cut_at + 500_000_000).min().unwrap();
    let both = Duration::from_nanos(last.saturating_sub(first));
    let bound = Bound::of(&policy);
    let all = || lonely.iter().chain(&others).copied();
    let most = bound.most(all());
    // What the rate gives to the second master meanwhile, and one for rounding.
    let interval = policy.window() / u32::try_from(policy.limit()).unwrap();
    let extra = i128::try_from(both.as_nanos().div_ceil(interval.as_nanos())).unwrap() + 1;
    println!(
        "split brain (G9): the lonely master admitted until {:?} after the cut, for {both:?} beside \
         another one; {most} admitted beyond the rate, bound {}",
        Duration::from_nanos(last - cut_at),
        2 * bound.burst() + extra,
    );
    assert!(most <= 2 * bound.burst() + extra, "{most}");
    assert!(last > cut_at, "there was somebody who still reached it");
}

/// Which node decides for a client: the one that is asked while nobody else is.
async fn owner(
    bed: &ClusterBed,
    stack: &Stack,
    client: &ClientIdentity,
    policy: &Policy,
) -> Option<usize> {
    let calls = || bed.nodes().iter().map(|node| node.calls("evalsha").unwrap());
    let before: Vec<u64> = calls().collect();
    for _ in 0..20 {
        stack.ask(client, policy).await;
    }
    let growth = calls().zip(before).map(|(after, before)| after - before);
    growth.enumerate().max_by_key(|(_, growth)| *growth).map(|(number, _)| number)
}

#[tokio::test(flavor = "multi_thread")]
async fn x07_a_killed_master_of_a_cluster_costs_its_own_slots_at_most_one_burst() {
    let bed = ClusterBed::builder().node_timeout(Duration::from_millis(1_000)).start().unwrap();
    let (stack, policy) = (Stack::open(&bed.url()), limit());
    // Some of them in the slots of each master; keys are made under a known key, so always the same.
    let clients: Vec<_> = (0..6).map(|number| user(&format!("client-{number}"))).collect();
    for client in &clients {
        eventually("every slot is served", async || {
            !stack.ask(client, &policy).await.decision.is_degraded()
        })
        .await;
    }
    let mut is_hit = Vec::new();
    for client in &clients {
        is_hit.push(owner(&bed, &stack, client, &policy).await == Some(0));
    }
    let start = |client: &ClientIdentity| Load::of(&stack, 1, &policy, client.clone());
    let loads: Vec<Load> = clients.iter().map(start).collect();
    for load in &loads {
        load.goes_on_for(500).await;
    }
    bed.nodes()[0].kill().unwrap();
    let killed_at = wall_nanos();
    for (client, load) in clients.iter().zip(&loads) {
        load.goes_on_for(500).await;
        eventually("a master or its replica decides", async || {
            !stack.ask(client, &policy).await.decision.is_degraded()
        })
        .await;
    }
    for load in &loads {
        load.goes_on_for(500).await;
    }
    let (mut lost, mut kept) = (0, 0);
    for (number, load) in loads.into_iter().enumerate() {
        let asked = load.stop().await;
        let degraded = asked.iter().filter(|one| one.is_degraded).count();
        println!("X07, client {number}: {degraded} of {} by the fallback", asked.len());
        check_g9(&format!("X07, client {number}"), &asked, &policy);
        assert!(asked.iter().any(|one| one.charged.is_some_and(|at| at > killed_at)));
        if is_hit[number] {
            lost += 1;
            assert!(degraded > 0, "client {number} noticed nothing");
        } else {
            kept += 1;
            // A slow decision here or there is no outage.
            assert!(degraded * 4 < asked.len(), "client {number}: {degraded} of {}", asked.len());
        }
    }
    assert!(lost > 0 && kept > lost, "{lost} lost their master, {kept} did not");
}
