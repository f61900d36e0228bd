//! Sagas: what three steps cost that do nothing, beside steno and beside a bare
//! log; and what SQLite does with them, beside bare inserts of as many rows.
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
//! the temporary directory, with so many callers at once.
//!
//! | Row | A unit of it |
//! |---|---|
//! | `floor:grouped inserts` | a row of a saga and six of its log, 256 sagas a commit, by rusqlite in a loop |
//! | `ours` | a saga of three steps that do nothing |
//!
//! All rows take turns in each round, and the ratios are medians of those
//! within rounds. Not shown: PostgreSQL, and executors in several processes.

mod harness;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{
    Builder, Config, Ended, Executor, Fault, MemorySagas, Plans, Saga, SagaId, Store,
};
use axiomatic_core::BoxError;
use axiomatic_core::time::Clock;
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
                    let swept = store.sweep(Duration::ZERO, 256).await;
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
    let (rounds, sagas) = if quick { (3, 2_560) } else { (9, 10_240) };
    let directory = tempfile::tempdir()?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for turn in 0..2 {
            let is_ours = (round + turn) % 2 == 1;
            let path = directory.path().join(format!("{round}-{is_ours}.sqlite"));
            let took = match is_ours {
                true => in_sqlite(&path, sagas)?,
                false => grouped_inserts(&path, sagas)?,
            };
            let rates = if is_ours { &mut ours } else { &mut bare };
            rates.push(sagas as f64 / took.as_secs_f64());
        }
    }
    let ratio = median(ours.iter().zip(&bare).map(|(ours, bare)| ours / bare));
    let rate = median(ours.iter().copied());
    println!(
        "{:34} {:>10} {:>8}",
        "sqlite, synchronous=FULL", "sagas/s", "to bare"
    );
    let floor = median(bare.iter().copied());
    println!("{:34} {floor:>10.0} {:>7.2}x", "floor:grouped inserts", 1.0);
    println!("{:34} {rate:>10.0} {ratio:>7.2}x", "ours");
    let met = if ratio >= 0.3 { "met" } else { "missed" };
    println!("goal to grouped inserts: {ratio:.2}x of at least 0.30x, {met}");
    let met = if rate >= 2000.0 { "met" } else { "missed" };
    println!("goal sagas a second: {rate:.0} of at least 2000, {met}");
    Ok(())
}

fn grouped_inserts(path: &Path, sagas: usize) -> Result<Duration, BoxError> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE saga (id BLOB PRIMARY KEY, name TEXT NOT NULL, input BLOB NOT NULL)
         STRICT, WITHOUT ROWID;
         CREATE TABLE line (saga BLOB NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
         step TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (saga, seq)) STRICT, WITHOUT ROWID;",
    )?;
    let began = Clock::Precise.now();
    for _ in 0..sagas / CALLERS {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..CALLERS {
            let id = SagaId::unique().0.into_bytes();
            let saga = "INSERT INTO saga VALUES (?1, 'three', x'6e756c6c')";
            connection.prepare_cached(saga)?.execute((id,))?;
            for seq in 0..6 {
                let line = "INSERT INTO line VALUES (?1, ?2, 'began', 'a', x'6e756c6c')";
                connection.prepare_cached(line)?.execute((id, seq))?;
            }
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(Clock::Precise.now() - began)
}

fn in_sqlite(path: &Path, sagas: usize) -> Result<Duration, BoxError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let database = Database::open(path, Options::new())?;
    let store = Sagas::new(&database)?;
    let saga = three_steps(false)?;
    let plans = Plans::new().with(&saga);
    let executor = Executor::new(store, plans, Config::new())?;
    let took = runtime.block_on(async {
        let running = executor.clone();
        tokio::spawn(async move { running.run(std::future::pending()).await });
        while executor.snapshot().buckets < 64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let began = Clock::Precise.now();
        let callers = (0..CALLERS).map(|_| {
            let (executor, saga) = (executor.clone(), saga.clone());
            tokio::spawn(async move {
                for _ in 0..sagas / CALLERS {
                    let ended = executor.execute(&saga, SagaId::unique(), &()).await;
                    assert!(matches!(ended, Ok(Ended::Done(()))), "{ended:?}");
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("nobody panics here");
        }
        Clock::Precise.now() - began
    });
    Ok(took)
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
