//! What does a decision in a file cost, and what does grouping save? The store with 1, 64 and 256
//! decisions in flight, beside the least that an exact limiter can do by itself: one transaction
//! with one read and one write for each decision, on the same kind of file with the same settings.
//!
//! Contenders take turns; the table has medians. `power cut` waits for the disk in each transaction.
//!
//! ```sh
//! cargo bench -p rate-limit-benches --bench sqlite_decision [-- SECONDS ROUNDS]
//! ```

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark, which reads the clock"
)]

use std::collections::VecDeque;
use std::path;
use std::time::{Duration, Instant};

use rate_limit_benches::{Path, addresses, charges, policies};
use rate_limit_core::{Charges, RateLimitRepository};
use rate_limit_sqlite::{Durability, SqliteRepository};
use rusqlite::{Connection, params};

/// Clients that take turns.
const CLIENTS: usize = 1_000;

/// Decides for a while; returns how often.
type Contender = Box<dyn FnMut(Duration) -> u64>;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<f64>().ok());
    let (seconds, rounds) = (numbers.next().unwrap_or(0.5), numbers.next().unwrap_or(5.0));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    println!("| outlives | contender | decisions/s | x bare |\n| --- | --- | --- | --- |");
    for (outlives, synchronous, durability) in [
        ("process", "NORMAL", Durability::OutliveProcess),
        ("power cut", "FULL", Durability::OutlivePowerCut),
    ] {
        let mut contenders: Vec<(String, Contender)> = vec![(
            "bare SQLite, one transaction each".to_owned(),
            bare(&file(&format!("{synchronous}.db")), synchronous),
        )];
        let paths = |count: usize| [(count, Path::Admitted), (count, Path::Denied)];
        for (in_flight, path) in [1, 64, 256].into_iter().flat_map(paths) {
            let name = format!("ours, {in_flight} in flight, {}", path.name());
            let file = file(&format!("{synchronous}-{in_flight}-{}.db", path.name()));
            contenders.push((name, ours(&file, durability, in_flight, path)));
        }
        let length = Duration::from_secs_f64(seconds);
        let mut rates = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds as usize {
            for ((_, contender), rates) in contenders.iter_mut().zip(&mut rates) {
                rates.push(contender(length) as f64 / seconds);
            }
        }
        let medians: Vec<f64> = rates.into_iter().map(median).collect();
        for ((name, _), rate) in contenders.iter().zip(&medians) {
            println!("| {outlives} | {name} | {rate:.0} | {:.2} |", rate / medians[0]);
        }
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// One read and one write of sixteen bytes in a transaction of their own.
fn bare(file: &path::Path, synchronous: &str) -> Contender {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    let _: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    connection
        .execute_batch("CREATE TABLE bucket (key BLOB PRIMARY KEY, state BLOB) WITHOUT ROWID")
        .unwrap();
    let key =
        |number: usize| (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    for number in 0..CLIENTS {
        let insert = "INSERT INTO bucket VALUES (?1, ?2)";
        connection.execute(insert, params![key(number).to_be_bytes(), [0_u8; 9]]).unwrap();
    }
    let mut number = 0;
    Box::new(move |length| {
        let (started, mut count) = (Instant::now(), 0);
        while started.elapsed() < length {
            number = (number + 1) % CLIENTS;
            let key = key(number).to_be_bytes();
            let cached = |text| connection.prepare_cached(text).unwrap();
            cached("BEGIN").execute([]).unwrap();
            let state: [u8; 9] = cached("SELECT state FROM bucket WHERE key = ?1")
                .query_row([key], |row| row.get(0))
                .unwrap();
            let mut next = state;
            next[0] = next[0].wrapping_add(1);
            let update = "UPDATE bucket SET state = ?2 WHERE key = ?1";
            cached(update).execute(params![key, next]).unwrap();
            cached("COMMIT").execute([]).unwrap();
            count += 1;
        }
        count
    })
}

/// The store, asked from one thread that always has so many decisions in flight.
fn ours(file: &path::Path, durability: Durability, in_flight: usize, path: Path) -> Contender {
    let store = SqliteRepository::builder(file).durability(durability).build().unwrap();
    let policies = policies(path, 1).unwrap();
    let charges: Vec<Charges> =
        addresses(CLIENTS).into_iter().map(|address| charges(address, &policies)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut number = 0;
    let mut next = move || {
        number = (number + 1) % CLIENTS;
        charges[number].clone()
    };
    // Every client once, so that all are known, and exhausted where they are to be denied.
    for _ in 0..CLIENTS {
        runtime.block_on(store.acquire(&next())).unwrap();
    }
    Box::new(move |length| {
        let (started, mut count) = (Instant::now(), 0);
        runtime.block_on(async {
            let mut waiting = VecDeque::new();
            while started.elapsed() < length {
                while waiting.len() < in_flight {
                    waiting.push_back(store.acquire(&next()));
                }
                if let Some(answer) = waiting.pop_front() {
                    answer.await.unwrap();
                    count += 1;
                }
            }
            for answer in waiting {
                answer.await.unwrap();
                count += 1;
            }
        });
        count
    })
}
