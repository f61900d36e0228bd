//! The outbox: what its relay costs a message, and what SQLite does with it
//! from the business write to the acknowledgement.
//!
//! `protocol` is the relay over the store in memory and a publisher that
//! confirms at once, on one thread: what a message costs in nanoseconds and
//! allocations, beside the same store asked by hand for the same messages.
//! The store copies each message that it gives out, so that much is its own.
//!
//! `sqlite` goes through a file with `synchronous=FULL`, on the file system of
//! the temporary directory: each commit is a sync, whose time is printed.
//!
//! | Row | A unit of it |
//! |---|---|
//! | `floor:grouped inserts` | one row into the business table, 256 a commit, by rusqlite in a loop |
//! | `floor:grouped inserts, deletes` | the same, and the row of a message in and out again, 256 a commit each |
//! | `ours, business` | one row by `writer.run`, 256 callers at once |
//! | `ours, business and message` | one row and one message, which nobody publishes |
//! | `ours, end to end` | one row and one message, which a relay publishes to nobody and settles, until none is left |
//!
//! All rows take turns in each round, and the ratios are medians of those
//! within rounds. It has no harness of nanoseconds: what it measures is disks.
//! Not shown: several processes on one file, and brokers.

mod harness;

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::outbox::{
    Config, Fate, Fetch, Lane, MemoryOutbox, Message, Operate, Relay, RelayId, Settled, Settlement,
    Store, Verdict, publish_with,
};
use axiomatic_core::BoxError;
use axiomatic_core::time::Clock;
use axiomatic_sqlite::outbox::{Options as OutboxOptions, Outbox};
use axiomatic_sqlite::{Database, Options};
use harness::allocations_of;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

const CALLERS: usize = 256;
const BODY: [u8; 200] = [b'x'; 200];

fn main() -> Result<(), BoxError> {
    let quick = std::env::args().any(|word| word == "--quick");
    protocol(quick)?;
    sqlite(quick)
}

fn message(n: usize) -> Message {
    Message::new("orders", BODY.as_slice()).keyed(format!("order-{n}"))
}

// The protocol, in memory.

fn protocol(quick: bool) -> Result<(), BoxError> {
    let (rounds, messages) = if quick { (5, 5_000) } else { (21, 20_000) };
    let (mut by_hand, mut relayed) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        by_hand.push(in_memory(messages, &hand)?);
        relayed.push(in_memory(messages, &relay)?);
    }
    println!("{:34} {:>10} {:>14}", "protocol", "ns", "allocations");
    for (name, figures) in [("floor:store by hand", &by_hand), ("ours, relay", &relayed)] {
        let times = median(figures.iter().map(|figure| figure.0));
        let allocations = median(figures.iter().map(|figure| figure.1));
        println!("{name:34} {times:>10.0} {allocations:>14.2}");
    }
    let more = |at: fn(&(f64, f64)) -> f64| {
        let pairs = relayed.iter().zip(&by_hand);
        median(pairs.map(move |(ours, floor)| at(ours) - at(floor)))
    };
    println!(
        "{:34} {:>10.0} {:>14.2}\n",
        "the relay's own share",
        more(|figure| figure.0),
        more(|figure| figure.1)
    );
    Ok(())
}

/// Nanoseconds and allocations a message.
fn in_memory(
    messages: usize,
    work: &dyn Fn(&tokio::runtime::Runtime, &MemoryOutbox, usize),
) -> Result<(f64, f64), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let memory = Memory::new();
    for n in 0..messages {
        memory.transact(|tx| {
            tx.enqueue(message(n));
            Ok::<_, Infallible>(())
        })?;
    }
    let outbox = MemoryOutbox::new(&memory);
    let clock = Clock::Precise;
    let began = clock.now();
    let ((), allocations) = allocations_of(|| work(&runtime, &outbox, messages));
    let took = (clock.now() - began).as_nanos() as f64;
    Ok((took / messages as f64, allocations as f64 / messages as f64))
}

fn relay(runtime: &tokio::runtime::Runtime, outbox: &MemoryOutbox, messages: usize) {
    runtime.block_on(async {
        let (done, drained) = oneshot::channel::<()>();
        let done = std::sync::Mutex::new((0, Some(done)));
        let publisher = publish_with(move |wave| {
            let mut done = done.lock().expect("nobody panics here");
            done.0 += wave.len();
            if done.0 == messages {
                done.1.take();
            }
            vec![Verdict::Acked; wave.len()]
        });
        let relay = Relay::new(outbox.clone(), publisher, Config::new()).expect("the default");
        let ran = relay.run(async { drop(drained.await) }).await;
        assert_eq!(
            ran.expect("memory does not fail").published,
            messages as u64
        );
    });
}

fn hand(runtime: &tokio::runtime::Runtime, outbox: &MemoryOutbox, messages: usize) {
    runtime.block_on(async {
        let me = RelayId::new("hand");
        let hour = Duration::from_secs(3600);
        let buckets: Vec<_> = outbox.buckets().all().collect();
        let leases = outbox
            .claim(&me, &buckets, hour)
            .await
            .expect("memory does not fail");
        let (mut after, mut settled) = (Lane::LAST, 0);
        while settled < messages {
            let fetch = Fetch {
                leases: &leases,
                after,
                busy: &[],
                rows: 500,
                per_lane: 16,
                lanes: 4000,
            };
            let fetched = outbox.fetch(&fetch).await.expect("memory does not fail");
            after = fetched.reached.unwrap_or(after);
            settled += fetched.rows.len();
            let fates = fetched.rows.chunk_by(|one, next| {
                outbox.buckets().of(one.lane) == outbox.buckets().of(next.lane)
            });
            let fates: Vec<_> = fates
                .map(|rows| Settlement {
                    lease: leases[usize::from(outbox.buckets().of(rows[0].lane).0)],
                    rows: rows
                        .iter()
                        .map(|stored| Settled {
                            row: stored.row,
                            lane: stored.lane,
                            fate: Fate::Published,
                        })
                        .collect(),
                })
                .collect();
            outbox
                .settle(&me, &fates)
                .await
                .expect("memory does not fail");
        }
    });
}

// SQLite.

fn sqlite(quick: bool) -> Result<(), BoxError> {
    type Measure<'a> = &'a dyn Fn(&Path, usize) -> Result<Duration, BoxError>;
    let all: [(&str, Measure<'_>); 5] = [
        ("floor:grouped inserts", &grouped_inserts),
        (
            "floor:grouped inserts, deletes",
            &grouped_inserts_and_deletes,
        ),
        ("ours, business", &|path, rows| {
            ours(path, rows, Work::Business)
        }),
        ("ours, business and message", &|path, rows| {
            ours(path, rows, Work::Message)
        }),
        ("ours, end to end", &|path, rows| {
            ours(path, rows, Work::EndToEnd)
        }),
    ];
    let [bare, by_hand, business, _, end_to_end] = [0, 1, 2, 3, 4];
    let (rounds, rows) = if quick { (3, 10_240) } else { (9, 40_960) };
    let directory = tempfile::tempdir()?;
    let mut rates = vec![Vec::new(); all.len()];
    for round in 0..rounds {
        for turn in 0..all.len() {
            let at = (round + turn) % all.len();
            let path = directory.path().join(format!("{round}-{at}.sqlite"));
            let took = all[at].1(&path, rows)?;
            rates[at].push(rows as f64 / took.as_secs_f64());
        }
    }
    let ratio = |of: usize, to: usize| {
        let rounds = rates[of].iter().zip(&rates[to]);
        median(rounds.map(|(of, to)| of / to))
    };
    println!(
        "{:34} {:>10} {:>8}",
        "sqlite, synchronous=FULL", "rows/s", "to bare"
    );
    for (at, (name, _)) in all.iter().enumerate() {
        let rate = median(rates[at].iter().copied());
        println!("{name:34} {rate:>10.0} {:>7.2}x", ratio(at, bare));
    }
    let commit = one_commit(&directory.path().join("commit.sqlite"))?;
    println!("one commit of one row: {commit:?}\n");
    for (text, reached) in [
        (
            "end to end, to grouped inserts of rusqlite",
            ratio(end_to_end, bare),
        ),
        (
            "end to end, to grouped inserts by our writer",
            ratio(end_to_end, business),
        ),
        (
            "end to end, to the same statements by hand",
            ratio(end_to_end, by_hand),
        ),
    ] {
        let met = if reached >= 0.3 { "met" } else { "missed" };
        println!("goal {text}: {reached:.2}x of at least 0.30x, {met}");
    }
    Ok(())
}

const BUSINESS: &str = "CREATE TABLE business (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT";
const INSERT: &str = "INSERT INTO business (body) VALUES (?1)";

fn bare(path: &Path) -> Result<Connection, BoxError> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    connection.execute_batch(BUSINESS)?;
    Ok(connection)
}

fn grouped_inserts(path: &Path, rows: usize) -> Result<Duration, BoxError> {
    let connection = bare(path)?;
    let began = Clock::Precise.now();
    for _ in 0..rows / CALLERS {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..CALLERS {
            connection.prepare_cached(INSERT)?.execute((BODY,))?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(Clock::Precise.now() - began)
}

fn grouped_inserts_and_deletes(path: &Path, rows: usize) -> Result<Duration, BoxError> {
    let connection = bare(path)?;
    connection.execute_batch(
        "CREATE TABLE message (id INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL,
         body BLOB NOT NULL) STRICT; CREATE INDEX by_lane ON message (lane)",
    )?;
    let began = Clock::Precise.now();
    for group in 0..rows / CALLERS {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for n in 0..CALLERS {
            connection.prepare_cached(INSERT)?.execute((BODY,))?;
            let lane = message(group * CALLERS + n).lane().to_stored();
            let insert = "INSERT INTO message (lane, body) VALUES (?1, ?2)";
            connection.prepare_cached(insert)?.execute((lane, BODY))?;
        }
        connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
        for n in 0..CALLERS {
            let delete = "DELETE FROM message WHERE id = ?1";
            connection
                .prepare_cached(delete)?
                .execute(((group * CALLERS + n + 1) as i64,))?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(Clock::Precise.now() - began)
}

#[derive(Copy, Clone, PartialEq)]
enum Work {
    Business,
    Message,
    EndToEnd,
}

fn ours(path: &Path, rows: usize, work: Work) -> Result<Duration, BoxError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let database = Database::open(path, Options::new())?;
        let outbox = Outbox::new(&database, OutboxOptions::new())?;
        database
            .writer()
            .run(|tx| tx.execute_batch(BUSINESS))
            .await?;
        let publisher = publish_with(|wave| vec![Verdict::Acked; wave.len()]);
        let relay = Relay::new(outbox.clone(), publisher, Config::new())?;
        let handle = relay.handle();
        let (stop, stopped) = oneshot::channel::<()>();
        let relaying = (work == Work::EndToEnd)
            .then(|| tokio::spawn(relay.run(async { drop(stopped.await) })));
        let began = Clock::Precise.now();
        callers(&database, rows, work).await?;
        if let Some(relaying) = relaying {
            // The last are in flight, and nobody tells when they are not.
            while handle.snapshot().published < rows as u64 || outbox.backlog().await?.messages > 0
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let took = Clock::Precise.now() - began;
            drop(stop);
            relaying.await??;
            return Ok(took);
        }
        Ok(Clock::Precise.now() - began)
    })
}

/// Each caller writes, waits for the commit, and writes again.
async fn callers(database: &Database, rows: usize, work: Work) -> Result<(), BoxError> {
    let (failed, mut failures) = mpsc::channel::<BoxError>(1);
    for caller in 0..CALLERS {
        let writer = database.writer().clone();
        let failed = failed.clone();
        tokio::spawn(async move {
            for n in 0..rows / CALLERS {
                let written = writer.run(move |tx| {
                    tx.prepare_cached(INSERT)?.execute((BODY,))?;
                    if work != Work::Business {
                        tx.enqueue(message(n * CALLERS + caller))?;
                    }
                    Ok::<_, BoxError>(())
                });
                if let Err(error) = written.await {
                    let _ = failed.send(error.to_string().into()).await;
                }
            }
        });
    }
    drop(failed);
    match failures.recv().await {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn one_commit(path: &Path) -> Result<Duration, BoxError> {
    const COMMITS: u32 = 50;
    let connection = bare(path)?;
    let began = Clock::Precise.now();
    for _ in 0..COMMITS {
        connection.execute(INSERT, (BODY,))?;
    }
    Ok((Clock::Precise.now() - began) / COMMITS)
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
