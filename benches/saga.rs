//! Sagas: what three steps cost that do nothing, beside steno and beside a bare
//! log; and what SQLite does with them, beside bare inserts of as many rows. It is
//! one file, as every bench is.
//!
//! `memory` runs sagas one after the other on one thread. Each has a log that
//! is kept until it has ended.
//!
//! | Row | A unit of it |
//! |---|---|
//! | `floor:log by hand` | six lines of JSON, pushed to a list behind a mutex, thrown away at the end |
//! | `ours` | `Executor::execute` over `MemorySagas`, swept as they end |
//! | `ours, undone` | the same, and the third step fails |
//! | `peer:steno` | `saga_create`, `saga_start` and its end, over `InMemorySecStore` |
//!
//! `sqlite` goes through a file with `synchronous=FULL`, on the file system of
//! the temporary directory, with 256 sagas at once. Of each, a row and six
//! lines are inserted. A saga waits for the disk four times: what begins is
//! durable before it begins. Floors that wait less often are no measure of it.
//!
//! | Row | A unit of it |
//! |---|---|
//! | `floor:inserts by the writer` | as many callers, each with four transactions of bare inserts, one after the other, by `Writer::run` |
//! | `floor:inserts in a loop` | the same rows by rusqlite on one thread: 256 sagas in four commits, with nobody to wake |
//! | `floor:inserts in a loop, undurable` | 256 sagas in one commit: no saga could have run between its lines |
//! | `ours` | a saga of three steps that do nothing |
//! | `ours, local` | one of three steps in its own database that do nothing |
//!
//! Beside the rates stands what time all processors gave to one, which is less
//! moved by what else the machine does.
//!
//! All rows take turns in each round, and the ratios are medians of those
//! within rounds. Not shown: PostgreSQL, which `benches/postgres` measures, and
//! executors in several processes.

mod harness;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{
    Builder, Config, Ended, Executor, Fault, MemorySagas, Plans, Saga, SagaId, Store, Swept,
};
use axiomatic_core::BoxError;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_sqlite::saga::Sagas;
use axiomatic_sqlite::{Database, Options};
use harness::allocations_of;
use rusqlite::Connection;
use tokio::runtime::Runtime;

const CALLERS: usize = 256;

fn main() -> Result<(), BoxError> {
    let quick = std::env::args().any(|word| word == "--quick");
    memory(quick)?;
    sqlite(quick)
}

/// Three steps, one after the other, that do nothing; or the last one fails.
fn three_steps<S: Store>(fails: bool) -> Result<Saga<S, (), ()>, BoxError> {
    let mut saga = Builder::<S, ()>::new("three", 1);
    let mut last = saga.input();
    for name in ["a", "b"] {
        last = saga
            .step(name, last, |_, ()| async { Ok(()) })
            .compensate_with(|_, (), _| async { Ok(()) });
    }
    saga.step("c", last, move |_, ()| async move {
        match fails {
            true => Err(Fault::failed("as it shall")),
            false => Ok(()),
        }
    })
    .compensate_with(|_, (), _| async { Ok(()) });
    Ok(saga.build()?)
}

// In memory.

fn memory(quick: bool) -> Result<(), BoxError> {
    type Measure = fn(&Runtime, usize) -> Result<(f64, f64), BoxError>;
    let all: [(&str, Measure); 4] = [
        ("floor:log by hand", by_hand),
        ("ours", |runtime, sagas| ours(runtime, sagas, false)),
        ("ours, undone", |runtime, sagas| ours(runtime, sagas, true)),
        ("peer:steno", steno),
    ];
    let (rounds, sagas) = if quick { (3, 2_000) } else { (15, 5_000) };
    let mut figures = vec![Vec::new(); all.len()];
    for round in 0..rounds {
        for turn in 0..all.len() {
            let at = (round + turn) % all.len();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            figures[at].push(all[at].1(&runtime, sagas)?);
        }
    }
    let peer = all.len() - 1;
    println!(
        "{:34} {:>10} {:>14} {:>10}",
        "memory, three steps", "ns", "allocations", "to steno"
    );
    let ratio = |of: usize| {
        let rounds = figures[of].iter().zip(&figures[peer]);
        median(rounds.map(|(of, to)| of.0 / to.0))
    };
    let allocations = |of: usize| median(figures[of].iter().map(|figure| figure.1));
    for (at, (name, _)) in all.iter().enumerate() {
        let time = median(figures[at].iter().map(|figure| figure.0));
        println!(
            "{name:34} {time:>10.0} {:>14.1} {:>9.3}x",
            allocations(at),
            ratio(at)
        );
    }
    for (what, reached) in [
        ("time", ratio(1)),
        ("allocations", allocations(1) / allocations(peer)),
    ] {
        let met = if reached <= 0.1 { "met" } else { "missed" };
        println!("goal {what}, to steno: {reached:.3}x of at most 0.100x, {met}");
    }
    println!();
    Ok(())
}

/// Nanoseconds and allocations for each.
fn measured(sagas: usize, work: impl FnOnce()) -> (f64, f64) {
    let clock = Clock::Precise;
    let began = clock.now();
    let ((), allocations) = allocations_of(work);
    let took = (clock.now() - began).as_nanos() as f64;
    (took / sagas as f64, allocations as f64 / sagas as f64)
}

fn by_hand(_: &Runtime, sagas: usize) -> Result<(f64, f64), BoxError> {
    let log: Mutex<Vec<Vec<u8>>> = Mutex::default();
    Ok(measured(sagas, || {
        for _ in 0..sagas {
            for step in ["a", "b", "c"] {
                for kind in ["began", "done"] {
                    let line = serde_json::to_vec(&(step, kind)).expect("it is text");
                    log.lock().expect("nobody panics here").push(line);
                }
            }
            log.lock().expect("nobody panics here").clear();
        }
    }))
}

fn ours(runtime: &Runtime, sagas: usize, fails: bool) -> Result<(f64, f64), BoxError> {
    let store = MemorySagas::new(&Memory::new());
    let saga = three_steps(fails)?;
    let plans = Plans::new().with(&saga);
    let executor = Executor::new(store.clone(), plans, Config::new())?;
    let running = executor.clone();
    runtime.spawn(async move { running.run(std::future::pending()).await });
    runtime.block_on(async {
        while executor.snapshot().buckets < 64 {
            tokio::task::yield_now().await;
        }
    });
    Ok(measured(sagas, || {
        runtime.block_on(async {
            for n in 0..sagas {
                let ended = executor.execute(&saga, SagaId::unique(), &()).await;
                let ended = ended.expect("memory does not fail");
                assert_eq!(matches!(ended, Ended::Done(())), !fails);
                if n % 256 == 0 {
                    let swept = store.sweep(Duration::ZERO, Swept::Deleted, 256).await;
                    swept.expect("memory does not fail");
                }
            }
        });
    }))
}

#[derive(Debug)]
struct Three;

impl steno::SagaType for Three {
    type ExecContextType = ();
}

async fn nothing(_: steno::ActionContext<Three>) -> Result<(), steno::ActionError> {
    Ok(())
}

async fn nothing_undone(_: steno::ActionContext<Three>) -> Result<(), anyhow::Error> {
    Ok(())
}

fn steno(runtime: &Runtime, sagas: usize) -> Result<(f64, f64), BoxError> {
    use ::steno::{
        ActionFunc, ActionRegistry, DagBuilder, InMemorySecStore, Node, SagaDag, SagaName,
    };
    let action = ActionFunc::new_action("nothing", nothing, nothing_undone);
    let mut registry = ActionRegistry::new();
    registry.register(Arc::clone(&action));
    let registry = Arc::new(registry);
    let mut dag = DagBuilder::new(SagaName::new("three"));
    for name in ["a", "b", "c"] {
        dag.append(Node::action(name, name, &*action));
    }
    let dag = SagaDag::new(dag.build()?, serde_json::Value::Null);
    let dag = Arc::new(dag);
    let client = runtime.block_on(async {
        let log = slog::Logger::root(slog::Discard, slog::o!());
        ::steno::sec(log, Arc::new(InMemorySecStore::new()))
    });
    let ids = (0..sagas).map(|_| uuid::Uuid::now_v7().to_string().parse());
    let ids: Vec<::steno::SagaId> = ids.collect::<Result<_, _>>()?;
    Ok(measured(sagas, || {
        runtime.block_on(async {
            for id in ids {
                let (dag, registry) = (Arc::clone(&dag), Arc::clone(&registry));
                let ending = client.saga_create(id, Arc::new(()), dag, registry).await;
                let ending = ending.expect("steno creates it");
                client.saga_start(id).await.expect("steno starts it");
                assert!(ending.await.kind.is_ok());
            }
        });
    }))
}

// SQLite.

fn sqlite(quick: bool) -> Result<(), BoxError> {
    type Measure = fn(&Path, usize) -> Result<Cost, BoxError>;
    let all: [(&str, Measure); 5] = [
        ("floor:inserts by the writer", inserts_by_the_writer),
        ("floor:inserts in a loop", |path, sagas| {
            inserts_in_a_loop(path, sagas, 4)
        }),
        ("floor:inserts in a loop, undurable", |path, sagas| {
            inserts_in_a_loop(path, sagas, 1)
        }),
        ("ours", |path, sagas| {
            in_sqlite(path, sagas, &three_steps(false)?)
        }),
        ("ours, local", |path, sagas| {
            in_sqlite(path, sagas, &three_local_steps()?)
        }),
    ];
    let (rounds, sagas) = if quick { (3, 2_560) } else { (9, 10_240) };
    let directory = tempfile::tempdir()?;
    let mut rates = vec![Vec::new(); all.len()];
    let mut works = vec![Vec::new(); all.len()];
    for round in 0..rounds {
        for turn in 0..all.len() {
            let at = (round + turn) % all.len();
            let path = directory.path().join(format!("{round}-{at}.sqlite"));
            let cost = all[at].1(&path, sagas)?;
            rates[at].push(sagas as f64 / cost.time.as_secs_f64());
            works[at].push(cost.work.as_secs_f64() * 1e6 / sagas as f64);
        }
    }
    let ratio = |of: usize, to: usize| {
        let rounds = rates[of].iter().zip(&rates[to]);
        median(rounds.map(|(of, to)| of / to))
    };
    println!(
        "{:36} {:>8} {:>14} {:>10} {:>9}",
        "sqlite, synchronous=FULL", "sagas/s", "to the writer", "to a loop", "CPU us"
    );
    let rate = |of: usize| median(rates[of].iter().copied());
    for (at, (name, _)) in all.iter().enumerate() {
        let (rate, writer, in_loop) = (rate(at), ratio(at, 0), ratio(at, 1));
        let work = median(works[at].iter().copied());
        println!("{name:36} {rate:>8.0} {writer:>13.2}x {in_loop:>9.2}x {work:>9.1}");
    }
    for (at, what) in [(0, "to inserts by the writer"), (1, "to inserts in a loop")] {
        let reached = ratio(3, at);
        let met = if reached >= 0.3 { "met" } else { "missed" };
        println!("goal {what}: {reached:.2}x of at least 0.30x, {met}");
    }
    let rate = rate(3);
    let met = if rate >= 2000.0 { "met" } else { "missed" };
    println!("goal sagas a second: {rate:.0} of at least 2000, {met}");
    Ok(())
}

/// How long something took, and what time all processors gave it.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    work: Duration,
}

impl Cost {
    fn now() -> (Instant, Duration) {
        let work = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let work = Duration::new(work.tv_sec as u64, work.tv_nsec as u32);
        (Clock::Precise.now(), work)
    }

    fn since((began, before): (Instant, Duration)) -> Self {
        let (now, after) = Cost::now();
        Cost {
            time: now - began,
            work: after - before,
        }
    }
}

const TABLES: &str = "\
CREATE TABLE bare (id BLOB PRIMARY KEY, name TEXT NOT NULL, input BLOB NOT NULL)
STRICT, WITHOUT ROWID;
CREATE TABLE line (saga BLOB NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
step TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (saga, seq)) STRICT, WITHOUT ROWID;";

/// The lines that a saga writes in each of its transactions: that the first
/// step begins; twice, that a step is done and the next begins; that the last
/// is done.
const LINES: [Range<i64>; 4] = [0..1, 1..3, 3..5, 5..6];

fn insert(connection: &Connection, id: &[u8; 16], lines: Range<i64>) -> rusqlite::Result<()> {
    if lines.start == 0 {
        let saga = "INSERT INTO bare VALUES (?1, 'three', x'6e756c6c')";
        connection.prepare_cached(saga)?.execute((id,))?;
    }
    let line = "INSERT INTO line VALUES (?1, ?2, 'began', 'a', x'6e756c6c')";
    let mut line = connection.prepare_cached(line)?;
    for seq in lines {
        line.execute((id, seq))?;
    }
    Ok(())
}

/// Of so many sagas at once, in so many commits.
fn inserts_in_a_loop(path: &Path, sagas: usize, commits: usize) -> Result<Cost, BoxError> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    connection.execute_batch(TABLES)?;
    let began = Cost::now();
    for _ in 0..sagas / CALLERS {
        let ids = [(); CALLERS].map(|()| SagaId::unique().0.into_bytes());
        for lines in LINES.chunks(LINES.len() / commits) {
            let all = lines[0].start..lines[lines.len() - 1].end;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for id in &ids {
                insert(&connection, id, all.clone())?;
            }
            connection.execute_batch("COMMIT")?;
        }
    }
    Ok(Cost::since(began))
}

fn inserts_by_the_writer(path: &Path, sagas: usize) -> Result<Cost, BoxError> {
    let runtime = two_workers()?;
    let database = Database::open(path, Options::new())?;
    database
        .writer()
        .run_blocking(|tx| tx.execute_batch(TABLES))?;
    Ok(runtime.block_on(async {
        by_callers(sagas, || {
            let writer = database.writer().clone();
            async move {
                let id = SagaId::unique().0.into_bytes();
                for lines in LINES {
                    let inserted = writer.run(move |tx| insert(tx, &id, lines));
                    inserted.await.expect("inserts");
                }
            }
        })
        .await
    }))
}

fn two_workers() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// So many units of work by all callers together.
async fn by_callers<F>(units: usize, work: impl Fn() -> F) -> Cost
where
    F: Future<Output = ()> + Send + 'static,
{
    let began = Cost::now();
    let callers = (0..CALLERS).map(|_| {
        let work: Vec<_> = (0..units / CALLERS).map(|_| work()).collect();
        tokio::spawn(async move {
            for unit in work {
                unit.await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("nobody panics here");
    }
    Cost::since(began)
}

/// As [`three_steps`], in the saga's own database.
fn three_local_steps() -> Result<Saga<Sagas, (), ()>, BoxError> {
    let mut saga = Builder::<Sagas, ()>::new("three", 1);
    let mut last = saga.input();
    for name in ["a", "b", "c"] {
        let done = Sagas::local(|_, _, ()| Ok(()));
        let undone = Sagas::local(|_, _, _| Ok(()));
        last = saga
            .local_step(name, last, done)
            .compensate_with_local(undone);
    }
    Ok(saga.build()?)
}

fn in_sqlite(path: &Path, sagas: usize, saga: &Saga<Sagas, (), ()>) -> Result<Cost, BoxError> {
    let runtime = two_workers()?;
    let database = Database::open(path, Options::new())?;
    let store = Sagas::new(&database)?;
    let plans = Plans::new().with(saga);
    let executor = Executor::new(store, plans, Config::new())?;
    Ok(runtime.block_on(async {
        let running = executor.clone();
        tokio::spawn(async move { running.run(std::future::pending()).await });
        while executor.snapshot().buckets < 64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        by_callers(sagas, || {
            let (executor, saga) = (executor.clone(), saga.clone());
            async move {
                let ended = executor.execute(&saga, SagaId::unique(), &()).await;
                assert!(matches!(ended, Ok(Ended::Done(()))), "{ended:?}");
            }
        })
        .await
    }))
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
