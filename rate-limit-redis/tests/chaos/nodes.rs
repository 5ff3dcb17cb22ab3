//! Several processes. Each is this program again, told by a variable to be a node.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rate_limit_core::{FailureMode, RateLimitPolicy, Verdict};
use redis_testbed::RedisServer;

use crate::bounds::Bound;
use crate::support::{
    Asked, Policy, Stack, eventually, note, now, patient, policy, user, wall_nanos,
};

const NODES: u32 = 4;
/// Where a node finds its task: the URL, and the file for its log.
const TASK: &str = "CHAOS_NODE";

/// The task of one node: how it asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pace {
    /// 64 callers, each asking again as soon as it is answered.
    Saturated,
    /// A few thousand requests per second, so that an outage of seconds stays a log of megabytes.
    Steady,
}

fn limit(pace: Pace) -> Policy {
    policy(match pace {
        Pace::Saturated => RateLimitPolicy::per_second(200).on_failure(FailureMode::Deny),
        Pace::Steady => RateLimitPolicy::per(50, Duration::from_secs(5)).burst(100),
    })
}

/// A node that runs until it is told to stop.
struct Node {
    process: Child,
    log: PathBuf,
}

impl Node {
    fn start(pace: Pace, url: &str, log: PathBuf) -> Self {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "nodes::a_node", "--nocapture"])
            .env(TASK, format!("{pace:?} {url} {}", log.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, log }
    }

    /// Closes its standard input, waits for its end, and reads what it admitted.
    fn stop(mut self) -> Vec<Asked> {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
        fs::read_to_string(&self.log).unwrap().lines().map(parse).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(one: &Asked) -> String {
    format!("{} {} {} {}", one.sent, one.done, one.is_degraded, one.charged.unwrap_or_default())
}

fn parse(line: &str) -> Asked {
    let mut words = line.split(' ');
    let mut number = || words.next().unwrap().parse::<u64>();
    let (sent, done) = (number().unwrap(), number().unwrap());
    let is_degraded = words.next().unwrap() == "true";
    let charged = words.next().unwrap().parse().unwrap();
    let charged = Some(charged).filter(|at| *at > 0);
    Asked { sent, done, verdict: Verdict::Allow, is_degraded, charged }
}

/// Not a test of its own: what the processes of the tests below do. Without a task it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node() {
    let Ok(task) = std::env::var(TASK) else { return };
    let mut words = task.splitn(3, ' ');
    let pace = if words.next() == Some("Saturated") { Pace::Saturated } else { Pace::Steady };
    let (url, log) = (words.next().unwrap(), words.next().unwrap());
    let stack = match pace {
        Pace::Saturated => Stack::build(patient(url).without_denial_cache(), NODES),
        Pace::Steady => Stack::build(patient(url), NODES),
    };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    std::thread::spawn(move || {
        // Ends with the pipe, also if whoever started this is gone.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = stop.send(true);
    });
    let policy = limit(pace);
    stack.is_served(&policy).await;
    fs::write(format!("{log}.ready"), "").unwrap();
    let callers = if pace == Pace::Saturated { 64 } else { 4 };
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (stack, policy, stopped) = (stack.clone(), policy.clone(), stopped.clone());
        all.spawn(async move {
            let (mut admitted, everybody) = (Vec::new(), user("everybody"));
            let mut beat = tokio::time::interval(Duration::from_millis(2));
            while !*stopped.borrow() {
                if pace == Pace::Steady {
                    beat.tick().await;
                }
                let asked = note(&stack, &everybody, &policy).await;
                if asked.verdict == Verdict::Allow {
                    admitted.push(asked);
                } else if asked.is_degraded {
                    // Refused at once, so that others need the processor more.
                    beat.tick().await;
                }
            }
            admitted
        });
    }
    let mut text = String::new();
    while let Some(admitted) = all.join_next().await {
        for one in admitted.unwrap() {
            text.push_str(&line(&one));
            text.push('\n');
        }
    }
    fs::write(log, text).unwrap();
}

/// All nodes of a test, and where their logs are.
struct Nodes {
    nodes: Vec<Node>,
    folder: PathBuf,
}

impl Nodes {
    async fn start(pace: Pace, server: &RedisServer) -> Self {
        // The folder of the server goes when the test ends.
        let folder = server.folder().to_owned();
        let log = |number: u32| folder.join(format!("node-{number}"));
        let nodes = (0..NODES).map(|number| Node::start(pace, &server.url(), log(number)));
        let nodes = Self { nodes: nodes.collect(), folder };
        eventually("all nodes are at work", async || {
            (0..NODES).all(|number| nodes.folder.join(format!("node-{number}.ready")).exists())
        })
        .await;
        nodes
    }

    fn stop(self) -> Vec<Vec<Asked>> {
        self.nodes.into_iter().map(Node::stop).collect()
    }
}

/// Lets real time pass, because an outage of ten seconds takes ten seconds.
async fn for_seconds(seconds: u64) {
    let (started, mut pace) = (now(), tokio::time::interval(Duration::from_millis(50)));
    while started.elapsed() < Duration::from_secs(seconds) {
        pace.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_four_nodes_keep_the_bound_in_and_out_of_an_outage() {
    let server = RedisServer::start().unwrap();
    let nodes = Nodes::start(Pace::Steady, &server).await;
    for_seconds(2).await;
    server.kill().unwrap();
    let killed = wall_nanos();
    for_seconds(10).await;
    server.restart().unwrap();
    let restarted = wall_nanos();
    for_seconds(4).await;
    let admitted: Vec<Asked> = nodes.stop().into_iter().flatten().collect();

    let policy = limit(Pace::Steady);
    let (bound, nodes) = (Bound::of(&policy), i128::from(NODES));
    let degraded = || admitted.iter().filter(|one| one.is_degraded);
    let during = bound.most_between(degraded());
    let all = bound.most_between(admitted.iter());
    let after = admitted.iter().filter(|one| !one.is_degraded && one.sent > restarted).count();
    println!(
        "R25 (G7): {NODES} nodes, burst {}, 10 per second, {:?} of outage: {} admitted meanwhile, \
         {during} beyond the rate; over everything {all} beyond the rate, bound {}",
        bound.burst(),
        Duration::from_nanos(restarted - killed),
        degraded().count(),
        3 * bound.burst() + nodes,
    );
    let shares = nodes * ((bound.burst() + nodes - 1) / nodes);
    assert!(during <= shares, "the shares of the nodes: {during}");
    assert!(all <= 3 * bound.burst() + nodes, "{all}");
    assert!(degraded().count() > 100, "the shares were used");
    assert!(after > 0, "the store decided again");
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_four_saturated_processes_are_exact_on_either_side_of_a_restart() {
    let server = RedisServer::start().unwrap();
    let nodes = Nodes::start(Pace::Saturated, &server).await;
    for_seconds(3).await;
    server.kill().unwrap();
    let killed = wall_nanos();
    server.restart().unwrap();
    for_seconds(4).await;
    let logs = nodes.stop();
    let policy = limit(Pace::Saturated);
    let bound = Bound::of(&policy);
    let instants = || logs.iter().flatten().filter_map(|one| one.charged);
    for (side, at) in [("before", 0..killed), ("after", killed..u64::MAX)] {
        let here = || instants().filter(|instant| at.contains(instant));
        let (first, last) = (here().min().unwrap(), here().max().unwrap());
        let span = last - first;
        let most = bound.most(here());
        let rate = u64::try_from(policy.window().as_nanos()).unwrap() / policy.limit();
        let fair = policy.capacity() + span / rate;
        println!(
            "C04 {side} the restart: {} admitted in {:?}, at most {fair}; {most} beyond the rate, \
             burst {}",
            here().count(),
            Duration::from_nanos(span),
            bound.burst(),
        );
        assert!(most <= bound.burst(), "{side}: {most}");
        // Replies that were lost with the connection were charged and count for nobody, and a
        // machine that stalls asks for less.
        assert!(here().count() as u64 * 2 >= fair, "{side}: too few");
    }
    for (number, log) in logs.iter().enumerate() {
        let after = log.iter().filter(|one| one.charged.is_some_and(|at| at > killed)).count();
        println!("C04: node {number} had {} admitted, {after} after the restart", log.len());
    }
}
