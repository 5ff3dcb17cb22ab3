//! A real process that is killed under load, again and again.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rate_limit_core::RateLimitPolicy;
use rate_limit_sqlite::{SqliteError, SqliteRepository};

use crate::support::{Folder, ask, policy, user};

/// The rounds, and the threads that ask at once.
const ROUNDS: u64 = 20;
const THREADS: usize = 8;
/// Far more than the rounds take, so that nothing is denied, and nothing comes back within a year.
const LIMIT: u64 = 4_000_000_000;
/// Says where the file is to the process that is to be killed.
const VARIABLE: &str = "LIMITS_TO_BE_KILLED";

/// One bucket that everybody shares, and one for each thread, charged together.
fn shared() -> Arc<RateLimitPolicy> {
    let year = std::time::Duration::from_secs(366 * 86_400);
    policy(RateLimitPolicy::per(LIMIT, year).named("shared").fixed_window())
}

/// The process that is to be killed: writes a byte for every admission that it was told of.
fn load(path: &std::ffi::OsStr) -> ! {
    let store = SqliteRepository::open(path).unwrap();
    let all = shared();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let admitted = !ask(&store, &user(0), &all, 1).is_violated();
                    assert!(admitted);
                    // Not buffered, so that what was told is known however the process ends.
                    std::io::stderr().write_all(b"+").unwrap();
                }
            });
        }
    });
    std::process::exit(1)
}

/// Red if an answer is given before its transaction is written: then admissions are forgotten.
#[test]
fn what_was_admitted_is_charged_however_often_the_process_is_killed() {
    if let Some(path) = std::env::var_os(VARIABLE) {
        load(&path);
    }
    let folder = Folder::new();
    let (mut told, mut charged_before) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed::what_was_admitted_is_charged_however_often_the_process_is_killed",
            ])
            .args(["--nocapture"])
            .env(VARIABLE, folder.file())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut heard = child.stderr.take().unwrap();
        // A different moment in each round, beginning with the first answers.
        let mut bytes = vec![0; 1 + usize::try_from(round * 37 % 400).unwrap()];
        heard.read_exact(&mut bytes).unwrap();
        let second = SqliteRepository::open(folder.file());
        child.kill().unwrap();
        assert!(matches!(second, Err(SqliteError::InUse { .. })), "it owns the file: {second:?}");
        heard.read_to_end(&mut bytes).unwrap();
        child.wait().unwrap();
        let admissions = bytes.iter().filter(|byte| **byte == b'+').count() as u64;
        assert_eq!(admissions, bytes.len() as u64, "{}", String::from_utf8_lossy(&bytes));
        told += admissions;

        // Whoever opens the file first recovers it; both have to find it intact.
        if round % 2 == 0 {
            integrity(&folder);
        }
        let store = SqliteRepository::open(folder.file()).unwrap();
        let charged = LIMIT - ask(&store, &user(0), &shared(), 0).remaining;
        let in_flight = (round + 1) * THREADS as u64;
        assert!(charged >= told, "round {round}: {told} were admitted and {charged} are charged");
        assert!(charged <= told + in_flight, "round {round}: {charged} charged, {told} admitted");
        assert!(charged > charged_before, "round {round} did something");
        charged_before = charged;
        drop(store);
        integrity(&folder);
    }
    println!("{ROUNDS} kills: {told} admissions told, {charged_before} charged");
}

fn integrity(folder: &Folder) {
    let file = rusqlite::Connection::open(folder.file()).unwrap();
    let check: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}
