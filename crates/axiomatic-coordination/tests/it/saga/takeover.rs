//! Executors that die, drain, and follow each other.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{
    Builder, Client, Config, Context, Ended, MemorySagas, Plans, Saga, SagaId, Stage,
};
use tokio::sync::Notify;

use super::services::{SHAPES, Services, assert_legal, run};

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Numbers that look like chance, the same each time.
fn chance(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sagas_end_with_each_effect_once_though_executors_die_under_them() -> Result {
    let memory = Memory::new();
    let store = MemorySagas::new(&memory);
    let services = Services::default();
    let mut declared = Vec::new();
    for shape in &SHAPES {
        for fails in [false, true] {
            declared.push((shape, fails, (shape.declare)(&services, fails)));
        }
    }
    // Of the same name: each kind has executors of its own.
    let plans = |fails: bool| {
        let of_kind = declared.iter().filter(|(_, other, _)| *other == fails);
        of_kind.fold(Plans::new(), |plans, (_, _, saga)| plans.with(saga))
    };
    for fails in [false, true] {
        let config = || {
            Config::new()
                .lease(Duration::from_millis(200))
                .poll(Duration::from_millis(10))
        };
        let client = Client::new(store.clone());
        let mut begun = Vec::new();
        let mut seed = 0x1234_5678_9abc_def1;
        let mut executors = vec![
            run(&store, plans(fails), config()),
            run(&store, plans(fails), config()),
        ];
        let of_kind: Vec<_> = declared
            .iter()
            .filter(|(_, kind, _)| *kind == fails)
            .collect();
        for number in 0..100 {
            let (shape, _, saga) = of_kind[number % of_kind.len()];
            let id = SagaId::unique();
            client.start(saga, id, &vec![1, 2, 3]).await?;
            client.signal(id, id.0, "approved", &7).await?;
            begun.push((*shape, saga.clone(), id));
            if number % 10 == 9 {
                // One dies wherever it is, and another comes.
                let which = (chance(&mut seed) % 2) as usize;
                for _ in 0..chance(&mut seed) % 50 {
                    tokio::task::yield_now().await;
                }
                executors[which] = run(&store, plans(fails), config());
            }
        }
        for (shape, saga, id) in &begun {
            let ended = client.wait(saga, *id).await?;
            assert_eq!(matches!(ended, Ended::Done(())), !fails);
            let found = client.find(*id).await?.expect("it is kept");
            assert_legal(&found);
            let expected = if fails { &[] } else { shape.done };
            assert_eq!(services.done(*id), expected, "{}", shape.name);
            if shape.name == "local" {
                let count = memory.read(&format!("count/{id}/a")).expect("it was done");
                assert_eq!(&count[..], if fails { b"0" } else { b"1" });
            }
        }
        services.assert_one_key_each();
        for executor in executors {
            executor.stop().await;
        }
    }
    Ok(())
}

/// A saga with one action, which says that it has begun and waits.
struct Gate {
    begun: Notify,
    open: Notify,
}

fn gated() -> (Saga<MemorySagas, (), u32>, Arc<Gate>) {
    let gate = Arc::new(Gate {
        begun: Notify::new(),
        open: Notify::new(),
    });
    let inside = gate.clone();
    let mut saga = Builder::new("gated", 1);
    let input = saga.input();
    let first = saga
        .step("first", input, move |_: Context, ()| {
            let gate = inside.clone();
            async move {
                gate.begun.notify_one();
                gate.open.notified().await;
                Ok(1u32)
            }
        })
        .timeout(Duration::from_secs(500))
        .without_undo();
    let second = saga
        .step("second", first, |_, one: u32| async move { Ok(one + 1) })
        .without_undo();
    (saga.returns(second).unwrap(), gate)
}

#[tokio::test(start_paused = true)]
async fn who_shuts_down_waits_for_what_is_running_and_begins_nothing_more() -> Result {
    for executes in [false, true] {
        let store = MemorySagas::new(&Memory::new());
        let (saga, gate) = gated();
        let lease = Duration::from_secs(20);
        let config = || Config::new().lease(lease).drain(Duration::from_secs(1000));
        let first = run(&store, Plans::new().with(&saga), config());
        let client = Client::new(store.clone());
        let warm = SagaId::unique();
        client.start(&saga, warm, &()).await?;
        gate.begun.notified().await;
        gate.open.notify_one();
        client.wait(&saga, warm).await?;

        let id = SagaId::unique();
        let (executor, executed) = (first.executor.clone(), saga.clone());
        let caller = tokio::spawn(async move {
            match executes {
                true => drop(executor.execute(&executed, id, &()).await),
                false => drop(executor.client().start(&executed, id, &()).await),
            }
        });
        gate.begun.notified().await;
        let mut stopping = Box::pin(first.stop());
        // Longer than its lease: it is renewed meanwhile.
        let still = tokio::time::timeout(lease * 3, &mut stopping).await;
        assert!(still.is_err(), "it has not waited");
        gate.open.notify_one();
        stopping.await;
        let found = client.find(id).await?.expect("it began");
        let lines: Vec<_> = found
            .records
            .iter()
            .map(|line| (line.record.kind.as_str(), &*line.record.step))
            .collect();
        assert_eq!(lines, [("began", "first"), ("done", "first")]);

        // What it gave back is nobody's: who follows need not wait.
        let begins = tokio::time::Instant::now();
        let second = run(&store, Plans::new().with(&saga), config());
        assert_eq!(client.wait(&saga, id).await?, Ended::Done(2));
        assert!(begins.elapsed() < lease / 2, "the lease was not given back");
        caller.await?;
        second.stop().await;
    }
    Ok(())
}

/// It dies, and its action with it.
#[tokio::test(start_paused = true)]
async fn who_follows_begins_again_what_was_begun() -> Result {
    let store = MemorySagas::new(&Memory::new());
    let (saga, gate) = gated();
    let config = || Config::new().lease(Duration::from_secs(10));
    let first = run(&store, Plans::new().with(&saga), config());
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&saga, id, &()).await?;
    gate.begun.notified().await;
    drop(first);
    let second = run(&store, Plans::new().with(&saga), config());
    gate.begun.notified().await;
    gate.open.notify_one();
    assert_eq!(client.wait(&saga, id).await?, Ended::Done(2));
    let found = client.find(id).await?.unwrap();
    let began = found
        .records
        .iter()
        .filter(|line| line.record.kind.as_str() == "began");
    let attempts: Vec<_> = began
        .map(|line| (&*line.record.step, line.record.attempt))
        .collect();
    assert_eq!(attempts, [("first", 1), ("first", 2), ("second", 1)]);
    assert_eq!(found.summary.stage, Stage::Done);
    second.stop().await;
    Ok(())
}
