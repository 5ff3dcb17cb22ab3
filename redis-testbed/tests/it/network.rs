//! The proxy.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use redis::Value;
use redis_testbed::proxy::Replies;
use redis_testbed::{Proxy, RedisServer, until};

use crate::counts_unheard;

struct Bed {
    server: RedisServer,
    proxy: Proxy,
}

impl Bed {
    fn start() -> Self {
        let server = RedisServer::start().unwrap();
        let proxy = Proxy::start(server.address()).unwrap();
        Self { server, proxy }
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.proxy.url())?.get_connection()
    }

    fn count(&self) -> Value {
        self.server.command(&["GET", "count"]).unwrap()
    }
}

fn increment(connection: &mut redis::Connection) -> redis::RedisResult<u64> {
    redis::cmd("INCR").arg("count").query(connection)
}

#[test]
fn it_passes_everything_on() {
    let bed = Bed::start();
    let mut connection = bed.connect().unwrap();
    let large = "x".repeat(1_000_000);
    let _: () = redis::cmd("SET").arg("large").arg(&large).query(&mut connection).unwrap();
    let back: String = redis::cmd("GET").arg("large").query(&mut connection).unwrap();
    assert_eq!(back, large);
    assert_eq!(bed.proxy.accepted(), 1);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a delay is seen in real time")]
fn a_delay_concerns_each_reply_and_not_their_sum() {
    let bed = Bed::start();
    let mut connection = bed.connect().unwrap();
    let delay = Duration::from_millis(40);
    bed.proxy.set_replies(Replies::Delay(delay));
    let started = Instant::now();
    increment(&mut connection).unwrap();
    assert!(started.elapsed() >= delay);
    let mut pipeline = redis::pipe();
    for _ in 0..100 {
        pipeline.cmd("INCR").arg("count").ignore();
    }
    let started = Instant::now();
    pipeline.exec(&mut connection).unwrap();
    // One after the other they would take four seconds.
    assert!(started.elapsed() < 50 * delay, "{:?}", started.elapsed());
}

#[test]
fn a_lost_reply_leaves_the_command_carried_out() {
    let bed = Bed::start();
    let connection = bed.connect().unwrap();
    bed.proxy.set_replies(Replies::Drop);
    assert!(counts_unheard(connection));
    until("the command runs", Duration::from_secs(30), || {
        bed.count() == Value::BulkString(b"1".into())
    })
    .unwrap();
}

#[test]
fn frozen_connections_are_silent_and_new_ones_work() {
    let bed = Bed::start();
    let mut old = bed.connect().unwrap();
    increment(&mut old).unwrap();
    bed.proxy.freeze_existing();
    assert!(counts_unheard(old));
    // The frozen command never arrived, so this one is the second.
    assert_eq!(increment(&mut bed.connect().unwrap()).unwrap(), 2);
}

#[test]
fn reset_connections_fail_at_once_and_new_ones_work() {
    let bed = Bed::start();
    let mut old = bed.connect().unwrap();
    bed.proxy.reset_existing();
    let error = increment(&mut old).unwrap_err();
    assert!(error.is_io_error() && !error.is_timeout(), "{error}");
    increment(&mut bed.connect().unwrap()).unwrap();
}

#[test]
fn refusing_refuses_until_it_is_healed_on_the_same_port() {
    let bed = Bed::start();
    for _ in 0..10 {
        let mut old = bed.connect().unwrap();
        bed.proxy.refuse().unwrap();
        let refused = bed.connect().map(drop).unwrap_err();
        assert!(refused.is_connection_refusal(), "{refused}");
        assert!(increment(&mut old).is_err());
        bed.proxy.heal().unwrap();
        increment(&mut bed.connect().unwrap()).unwrap();
    }
}

/// Until a new process becomes another program, it has a copy of every socket of this one.
#[test]
fn refusing_refuses_while_processes_are_started() {
    let bed = Bed::start();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let starting = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        let refused = (0..200).try_for_each(|_| {
            bed.proxy.refuse().map_err(|error| error.to_string())?;
            let refused = bed.connect().map(drop).unwrap_err();
            bed.proxy.heal().map_err(|error| error.to_string())?;
            refused.is_connection_refusal().then_some(()).ok_or(refused.to_string())
        });
        ended.store(true, Ordering::Relaxed);
        starting.join().unwrap();
        assert_eq!(refused, Ok(()));
    });
}

#[test]
fn a_black_hole_accepts_and_never_answers() {
    let bed = Bed::start();
    bed.proxy.black_hole().unwrap();
    let client = redis::Client::open(bed.proxy.url()).unwrap();
    // Setting the connection up may already need an answer.
    let (sender, connected) = channel();
    thread::spawn(move || sender.send(client.get_connection()));
    match connected.recv_timeout(Duration::from_millis(20)) {
        Ok(connection) => assert!(counts_unheard(connection.unwrap())),
        Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
    }
}
