//! Clusters: a master that hangs or crashes, slots that move.

use redis_testbed::{ClusterBed, RedisServer};

use super::*;

/// Long enough that a loaded machine meets it, short beside a hang.
const DEADLINE: Duration = Duration::from_millis(500);

fn key(number: usize) -> String {
    format!("key-{number}")
}

fn slot(key: &str) -> u16 {
    u16::try_from(Slot::of_tag(key.as_bytes()).index()).unwrap()
}

/// Keys whose slot this node owns, and keys whose slot it does not.
fn keys(bed: &ClusterBed, node: &RedisServer) -> (Vec<String>, Vec<String>) {
    let address = node.address();
    let is_its = |key: &String| bed.owner(slot(key)).unwrap().address() == address;
    (0..40).map(key).partition(is_its)
}

/// The name of a node among its like.
fn id(node: &RedisServer) -> String {
    match node.command(&["CLUSTER", "MYID"]).unwrap() {
        Value::BulkString(id) => String::from_utf8(id).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Moves one key ahead of its slot.
fn migrate(from: &RedisServer, to: &RedisServer, key: &str) {
    let (host, port) = (to.address().ip().to_string(), to.address().port().to_string());
    from.command(&["MIGRATE", &host, &port, key, "0", "5000"]).unwrap();
}

async fn all_served(bench: &Bench, keys: &[String]) {
    for key in keys {
        bench.is_served(key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x01_a_hung_master_slows_down_nobody_but_its_own_slots() {
    let bed = tokio::task::block_in_place(|| {
        // Nobody is declared failed during the test: it is about the time before that.
        let calm = ClusterBed::builder().replicas_per_master(0);
        calm.node_timeout(Duration::from_secs(300)).start()
    })
    .unwrap();
    let bench = Bench::with_deadline(&bed.url(), DEADLINE);
    let hung = &bed.nodes()[0];
    let (its, others) = keys(&bed, hung);
    all_served(&bench, &its).await;
    all_served(&bench, &others).await;
    hung.suspend().unwrap();
    let load = Load::start(&bench, 1, its);
    let mut taken = Vec::new();
    for round in 0..50 {
        for key in &others {
            let at = now();
            let failure = bench.decide(key).await.err().map(|error| error.kind());
            if let Some(kind) = failure {
                println!("{key} in round {round}: {kind:?}");
            }
            taken.push(Taken { at, took: at.elapsed(), failure });
        }
    }
    let lost = load.stop().await;
    hung.resume().unwrap();
    let all = || taken.iter().copied();
    println!(
        "X01 {} decisions on healthy masters: p50 {:?}, p99 {:?}, longest {:?}; {} on the hung one \
         failed, p99 {:?}",
        taken.len(),
        percentile(all(), 500),
        percentile(all(), 990),
        percentile(all(), 1_000),
        lost.len(),
        percentile(lost.iter().copied(), 990),
    );
    assert!(lost.iter().all(|one| one.failure.is_some()));
    // Had they waited for the hung one, every one would have taken the deadline, and none would
    // have been served; a loaded machine may miss a deadline here or there.
    assert!(percentile(all(), 900) < DEADLINE / 2);
    let missed = all().filter(|one| one.failure.is_some()).count();
    assert!(missed * 50 < taken.len(), "{missed} of {}", taken.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn x06_the_first_check_on_a_new_master_succeeds() {
    let mut bed =
        tokio::task::block_in_place(|| ClusterBed::builder().replicas_per_master(0).start())
            .unwrap();
    let bench = Bench::with_deadline(&bed.url(), Duration::from_secs(5));
    let key = key(1);
    bench.is_served(&key).await;
    let before = bench.decide(&key).await.unwrap();
    let (number, new) = tokio::task::block_in_place(|| {
        let new = bed.add_node().unwrap();
        bed.move_slots(slot(&key)..slot(&key) + 1, new).unwrap();
        (slot(&key), new)
    });
    assert_eq!(bed.owner(number).unwrap().address(), bed.nodes()[new].address());
    let asked = now();
    // Nobody there knows the script, and we do not know the node.
    assert_eq!(bench.decide(&key).await.unwrap(), before + 1);
    println!("X06 the first decision on the new master took {:?}", asked.elapsed());
    // The readiness check of each connection has one of either as well.
    let [by_digest, by_text] =
        ["evalsha", "eval"].map(|name| bed.nodes()[new].calls(name).unwrap());
    assert!(by_text >= 2 && by_digest == by_text, "{by_digest} {by_text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_served_wherever_a_slot_has_moved_or_moves_to() {
    let mut bed =
        tokio::task::block_in_place(|| ClusterBed::builder().replicas_per_master(0).start())
            .unwrap();
    let bench = Bench::with_deadline(&bed.url(), Duration::from_secs(10));
    let key = key(3);
    bench.is_served(&key).await;
    let before = bench.decide(&key).await.unwrap();
    let home = Slot::of_tag(key.as_bytes());
    let mut count = redis::cmd("INCR");
    count.arg(&key);
    tokio::task::block_in_place(|| {
        let new = bed.add_node().unwrap();
        bed.move_slots(slot(&key)..slot(&key) + 1, new).unwrap();
    });
    // MOVED: the former owner carried nothing out.
    let counted = bench.link.command(home, &count).await.unwrap();
    assert_eq!(counted, Value::Int(before + 1));
    let number = slot(&key).to_string();
    let from = bed.owner(slot(&key)).unwrap();
    let to = bed.nodes().iter().find(|node| node.address() != from.address()).unwrap();
    to.command(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &id(from)]).unwrap();
    from.command(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &id(to)]).unwrap();
    migrate(from, to, &key);
    // ASK, and nothing was carried out either.
    let counted = bench.link.command(home, &count).await.unwrap();
    assert_eq!(counted, Value::Int(before + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn x07_the_slots_of_a_killed_master_come_back_with_its_replica() {
    let node_timeout = Duration::from_secs(2);
    let bed = tokio::task::block_in_place(|| {
        ClusterBed::builder().node_timeout(node_timeout).start().unwrap()
    });
    let bench = Bench::with_deadline(&bed.url(), Duration::from_secs(5));
    let victim = &bed.nodes()[0];
    let (its, others) = keys(&bed, victim);
    all_served(&bench, &its).await;
    all_served(&bench, &others).await;
    let load = Load::start(&bench, 1, others);
    victim.kill().unwrap();
    let killed = now();
    let Some(first) = its.first() else { panic!("no key for this master") };
    eventually("its slots are away", async || bench.decide(first).await.is_err()).await;
    bench.is_served(first).await;
    let back = killed.elapsed();
    all_served(&bench, &its).await;
    let taken = load.stop().await;
    let failed = taken.iter().filter(|one| one.failure.is_some()).count();
    println!(
        "X07 slots back after {back:?} with a node timeout of {node_timeout:?}; {failed} of {} \
         decisions on other masters failed, p99 {:?}",
        taken.len(),
        percentile(taken.iter().copied(), 990),
    );
    assert!(failed * 20 < taken.len(), "{failed} of {}", taken.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_slot_on_the_move_are_asked_for_where_they_are() {
    let bed = tokio::task::block_in_place(|| ClusterBed::builder().replicas_per_master(0).start())
        .unwrap();
    let bench = Bench::with_deadline(&bed.url(), Duration::from_secs(5));
    let key = key(2);
    bench.is_served(&key).await;
    let before = bench.decide(&key).await.unwrap();
    let number = slot(&key).to_string();
    let from = bed.owner(slot(&key)).unwrap();
    let to = bed.nodes().iter().find(|node| node.address() != from.address()).unwrap();
    to.command(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &id(from)]).unwrap();
    from.command(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &id(to)]).unwrap();
    // Still at home.
    assert_eq!(bench.decide(&key).await.unwrap(), before + 1);
    migrate(from, to, &key);
    // Gone ahead: the old owner says ASK, and the new one has never seen the script.
    assert_eq!(bench.decide(&key).await.unwrap(), before + 2);
    assert_eq!(bench.decide(&key).await.unwrap(), before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_one_client_on_two_nodes_are_waited_for_until_they_are_together() {
    let bed = tokio::task::block_in_place(|| ClusterBed::builder().replicas_per_master(0).start())
        .unwrap();
    let bench = Bench::with_deadline(&bed.url(), Duration::from_secs(30));
    let (first, second) = ("{b}1".to_owned(), "{b}2".to_owned());
    let slot = Slot::of_tag(b"b");
    let number = slot.index().to_string();
    let from = bed.owner(slot.index().try_into().unwrap()).unwrap();
    let to = bed.nodes().iter().find(|node| node.address() != from.address()).unwrap();
    let mut both = ScriptCall::new(&COUNT, 2);
    both.key(|bytes| bytes.extend_from_slice(first.as_bytes()));
    both.key(|bytes| bytes.extend_from_slice(second.as_bytes()));
    eventually("the cluster is known", async || {
        bench.link.evaluate(slot, &both, Patience::Deadline).await.is_ok()
    })
    .await;
    from.command(&["SET", &second, "1"]).unwrap();
    to.command(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &id(from)]).unwrap();
    from.command(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &id(to)]).unwrap();
    migrate(from, to, &first);
    // One key here, one there: nobody can run the script.
    let link = bench.link.clone();
    let waiting = tokio::spawn(async move { link.evaluate(slot, &both, Patience::Deadline).await });
    eventually("it was refused", async || {
        from.info("errorstat_TRYAGAIN").is_ok() || to.info("errorstat_TRYAGAIN").is_ok()
    })
    .await;
    migrate(from, to, &second);
    assert_eq!(waiting.await.unwrap().unwrap(), Value::Int(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_absent_at_the_start_is_used_once_it_is_there() {
    let bed = tokio::task::block_in_place(|| ClusterBed::builder().replicas_per_master(0).start())
        .unwrap();
    for node in bed.nodes() {
        node.kill().unwrap();
    }
    let mut bench = Bench::with_deadline(&bed.url(), DEADLINE);
    let Answer::Ready(Err(_)) = bench.decide("{a}") else { panic!("it waits") };
    bench.sees("the absence", |event| matches!(event, HealthEvent::Away(_))).await;
    tokio::task::block_in_place(|| bed.nodes().iter().try_for_each(RedisServer::restart)).unwrap();
    bench.is_connected().await;
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_used_with_no_more_than_the_permissions_of_its_request_path() {
    let rules = "limiter on >sesame ~rl:* -@all +eval +evalsha +get +set +incr +time +ping +hello \
                 +client|setname +cluster|slots +asking";
    let bed = tokio::task::block_in_place(|| {
        ClusterBed::builder().replicas_per_master(0).option("user", rules).start()
    })
    .unwrap();
    let url = bed.url().replace("://", "://limiter:sesame@");
    let bench = Bench::with_deadline(&url, DEADLINE);
    for number in 0..20 {
        let tag = key(number);
        let slot = Slot::of_tag(tag.as_bytes());
        let mut call = ScriptCall::new(&COUNT, 1);
        call.key(|bytes| bytes.extend_from_slice(format!("rl:{{{tag}}}").as_bytes()));
        eventually("it is counted", async || {
            bench.link.evaluate(slot, &call, Patience::Deadline).await.is_ok()
        })
        .await;
    }
}
