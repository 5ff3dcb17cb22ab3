//! One server.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use redis::Value;
use redis_testbed::{Program, RedisServer, TestbedError, until};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::counts_unheard;

fn runs(process: u32) -> bool {
    Command::new("kill").args(["-0", &process.to_string()]).output().unwrap().status.success()
}

#[test]
fn it_answers_on_its_port_and_on_its_socket() {
    let server = RedisServer::start().unwrap();
    println!("on {}", server.program());
    for url in [server.url(), server.unix_url()] {
        let client = redis::Client::open(url).unwrap();
        let pong: String = redis::cmd("PING").query(&mut client.get_connection().unwrap()).unwrap();
        assert_eq!(pong, "PONG");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "this prints how long a start takes")]
fn many_start_at_once_and_none_is_in_the_way_of_another() {
    let started = Instant::now();
    let servers: Vec<RedisServer> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| RedisServer::start().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("8 servers after {:?}", started.elapsed());
    let addresses: HashSet<_> = servers.iter().map(RedisServer::address).collect();
    assert_eq!(addresses.len(), servers.len());
    for (server, mark) in servers.iter().zip(0..) {
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let _: () = redis::cmd("SET").arg("mark").arg(mark).query(&mut connection).unwrap();
    }
    for (server, mark) in servers.iter().zip(0..) {
        let expected = Value::BulkString(format!("{mark}").into_bytes());
        assert_eq!(server.command(&["GET", "mark"]).unwrap(), expected);
    }
}

#[test]
fn dropping_it_ends_its_process_and_removes_its_folder() {
    let server = RedisServer::start().unwrap();
    let (process, folder) = (server.process_id().unwrap(), server.folder().to_owned());
    assert!(runs(process) && folder.is_dir());
    drop(server);
    assert!(!runs(process) && !folder.exists());
}

#[test]
fn a_panic_ends_it_even_while_it_hangs() {
    let process = std::panic::catch_unwind(|| {
        let server = RedisServer::start().unwrap();
        server.suspend().unwrap();
        std::panic::panic_any(server.process_id().unwrap());
    })
    .unwrap_err();
    assert!(!runs(*process.downcast::<u32>().unwrap()));
}

/// This test runs itself as another process, which is killed while it owns a server.
#[test]
fn a_killed_test_program_leaves_no_server_behind() {
    const VARIABLE: &str = "TESTBED_OWNER";
    if let Some(report) = std::env::var_os(VARIABLE) {
        let server = RedisServer::start().unwrap();
        let whole = Path::new(&report).with_extension("whole");
        std::fs::write(&whole, server.process_id().unwrap().to_string()).unwrap();
        std::fs::rename(&whole, &report).unwrap();
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("process");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server::a_killed_test_program_leaves_no_server_behind"])
        .env(VARIABLE, &report)
        // The folder that it cannot remove any more lies in ours.
        .env("TMPDIR", folder.path())
        .spawn()
        .unwrap();
    until("the server runs", Duration::from_secs(30), || report.exists()).unwrap();
    let process: u32 = std::fs::read_to_string(&report).unwrap().parse().unwrap();
    assert!(runs(process));
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("the server has ended", Duration::from_secs(30), || !runs(process)).unwrap();
}

/// A signal wakes whoever waits for an answer, also one that nobody handles: the end of a child,
/// or, as here and each time, that the program goes on after a stop. This test runs itself as
/// another process, which is stopped while it waits.
#[test]
fn a_command_outlasts_what_wakes_its_thread() {
    const VARIABLE: &str = "TESTBED_WAITING";
    if let Some(socket) = std::env::var_os(VARIABLE) {
        let server = RedisServer::start().unwrap();
        std::os::unix::fs::symlink(server.unix_socket(), socket).unwrap();
        let pushed = server.command(&["BLPOP", "list", "8"]).unwrap();
        let text = |text: &str| Value::BulkString(text.into());
        assert_eq!(pushed, Value::Array(vec![text("list"), text("value")]));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let mut waiting = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server::a_command_outlasts_what_wakes_its_thread"])
        .env(VARIABLE, &socket)
        .spawn()
        .unwrap();
    until("the server runs", Duration::from_secs(30), || socket.exists()).unwrap();
    let client = redis::Client::open(format!("unix://{}", socket.display())).unwrap();
    let mut connection = client.get_connection().unwrap();
    until("the command waits", Duration::from_secs(30), || {
        let clients: String = redis::cmd("INFO").arg("clients").query(&mut connection).unwrap();
        clients.contains("blocked_clients:1")
    })
    .unwrap();
    let process = Pid::from_child(&waiting);
    // Few, so that a loaded machine does them within the eight seconds.
    for _ in 0..5 {
        kill_process(process, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(process), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
        kill_process(process, Signal::CONT).unwrap();
    }
    redis::cmd("RPUSH").arg("list").arg("value").exec(&mut connection).unwrap();
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn it_restarts_empty_on_the_same_port() {
    let server = RedisServer::start().unwrap();
    let (address, process) = (server.address(), server.process_id());
    server.command(&["SET", "key", "value"]).unwrap();
    server.kill().unwrap();
    assert!(server.process_id().is_none() && server.command(&["PING"]).is_err());
    server.restart().unwrap();
    assert_eq!(server.address(), address);
    assert_ne!(server.process_id(), process);
    assert_eq!(server.command(&["DBSIZE"]).unwrap(), Value::Int(0));
}

/// A child that is just being started has copies of all sockets until it becomes another program.
#[test]
fn a_port_that_is_taken_for_a_moment_is_waited_for() {
    let server = RedisServer::start().unwrap();
    server.kill().unwrap();
    let log = server.folder().join("redis.log");
    let failed = || std::fs::read_to_string(&log).unwrap().contains("Failed listening");
    let taken = std::net::TcpListener::bind(server.address()).unwrap();
    std::thread::scope(|scope| {
        let restarted = scope.spawn(|| server.restart());
        until("a start has failed", Duration::from_secs(30), failed).unwrap();
        drop(taken);
        restarted.join().unwrap().unwrap();
    });
    assert_eq!(server.command(&["PING"]).unwrap(), Value::SimpleString("PONG".to_owned()));
}

#[test]
fn while_it_hangs_it_does_not_answer_and_afterwards_it_does_what_was_sent() {
    let server = RedisServer::start().unwrap();
    let connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    server.suspend().unwrap();
    assert!(counts_unheard(connection));
    server.resume().unwrap();
    let count = || server.command(&["GET", "count"]).unwrap();
    until("the late command runs", Duration::from_secs(30), || {
        count() == Value::BulkString(b"1".into())
    })
    .unwrap();
}

#[test]
fn options_users_and_passwords_are_those_of_the_test() {
    let server = RedisServer::builder()
        .option("maxmemory", "8mb")
        .password("secret")
        .user("reader", ">word ~allowed:* -@all +get")
        .start()
        .unwrap();
    let maxmemory = server.info("maxmemory").unwrap();
    assert_eq!(maxmemory, (8 * 1024 * 1024).to_string());
    let ask = |url: String, command: &str| {
        let mut connection = redis::Client::open(url)?.get_connection()?;
        redis::cmd(command).arg("allowed:key").query::<Value>(&mut connection)
    };
    assert_eq!(ask(server.url(), "GET").unwrap(), Value::Nil);
    assert_eq!(ask(server.url_for("reader", "word"), "GET").unwrap(), Value::Nil);
    let refused = ask(server.url_for("reader", "word"), "DEL").unwrap_err();
    assert_eq!(refused.code(), Some("NOPERM"));
    assert!(ask(server.url_for("reader", "wrong"), "GET").is_err());
}

#[test]
fn calls_are_counted() {
    let server = RedisServer::start().unwrap();
    assert_eq!(server.calls("get").unwrap(), 0);
    for _ in 0..3 {
        server.command(&["GET", "key"]).unwrap();
    }
    assert_eq!(server.calls("get").unwrap(), 3);
}

#[test]
fn a_refused_option_is_an_error_with_the_servers_words() {
    let error = RedisServer::builder().option("no-such-option", "1").start().unwrap_err();
    assert!(matches!(error, TestbedError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("no-such-option"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn its_clock_can_be_set() {
    let server = RedisServer::builder().stepped_clock().start().unwrap();
    let time = || {
        let (seconds, _): (i64, i64) =
            redis::cmd("TIME").query(&mut server.administrator().unwrap()).unwrap();
        seconds
    };
    let before = time();
    server.step_clock(-3_600).unwrap();
    assert!((before - 3_601..before - 3_500).contains(&time()));
    server.step_clock(7_200).unwrap();
    assert!((before + 7_200..before + 7_300).contains(&time()));
    // What is to expire follows the same clock.
    server.command(&["SET", "key", "value", "EX", "60"]).unwrap();
    server.step_clock(7_300).unwrap();
    assert_eq!(server.command(&["GET", "key"]).unwrap(), Value::Nil);
}

#[test]
fn every_installed_program_is_found_with_its_version() {
    let programs = Program::installed().unwrap();
    assert_eq!(programs.first(), Program::find().as_ref().ok());
    for program in programs {
        println!("{program}");
        let server = RedisServer::builder().program(&program).start().unwrap();
        assert_eq!(server.command(&["PING"]).unwrap(), Value::SimpleString("PONG".to_owned()));
    }
}
