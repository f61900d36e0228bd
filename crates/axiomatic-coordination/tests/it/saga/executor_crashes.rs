//! The database crashes at each of its steps, callers go away at each of
//! theirs, and another goes on.

use std::task::{Context as TaskContext, Waker};

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{Client, Config, Ended, MemorySagas, Plans, SagaId, Stage};

use super::services::{SHAPES, Services, Shape, assert_legal, run};

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// What is left of a saga that has ended is all of it, once, or nothing.
async fn assert_ended(
    shape: &Shape,
    store: &MemorySagas,
    services: &Services,
    saga: SagaId,
) -> Result<Stage> {
    let found = Client::new(store.clone())
        .find(saga)
        .await?
        .expect("it began");
    assert_legal(&found);
    services.assert_one_key_each();
    let is_done = found.summary.stage == Stage::Done;
    let expected = if is_done { shape.done } else { &[] };
    assert_eq!(services.done(saga), expected, "{}", shape.name);
    let counts = store.database().read_all(&format!("count/{saga}"));
    let count = String::from_utf8_lossy(counts.first().map_or(b"", |(_, count)| count));
    let expected = match (shape.name, is_done) {
        ("local", true) => "1",
        ("local", false) if counts.is_empty() => "",
        ("local", false) => "0",
        _ => "",
    };
    assert_eq!(count, expected, "{}", shape.name);
    Ok(found.summary.stage)
}

/// By the end of another saga an executor has its leases.
async fn warm(
    client: &Client<MemorySagas>,
    saga: &axiomatic_coordination::saga::Saga<MemorySagas, Vec<u32>, ()>,
) -> Result {
    let id = SagaId::unique();
    client.start(saga, id, &vec![]).await?;
    client
        .signal(id, uuid::Uuid::now_v7(), "approved", &7)
        .await?;
    client.wait(saga, id).await?;
    Ok(())
}

/// Begun by a client, and run by who has the bucket; or executed by its caller.
async fn crash_everywhere(shape: &Shape, fails: bool, executes: bool) -> Result {
    let mut crashes = 0;
    for step in 0.. {
        assert!(step < 1000, "it never ends");
        let memory = Memory::new();
        let store = MemorySagas::new(&memory);
        let services = Services::default();
        let saga = (shape.declare)(&services, fails);
        let client = Client::new(store.clone());
        let id = SagaId::unique();
        let input = vec![1, 2, 3];
        let first = run(&store, Plans::new().with(&saga), Config::new());
        if executes {
            warm(&client, &saga).await?;
        }
        memory.crash_at(step);
        let signal = uuid::Uuid::now_v7();
        let begin = async {
            match executes {
                true => {
                    let execute = first.executor.execute(&saga, id, &input);
                    let post =
                        async {
                            while client.signal(id, signal, "approved", &7).await.is_ok_and(
                                |posted| posted == axiomatic_coordination::saga::Posted::Missing,
                            ) {
                                tokio::task::yield_now().await;
                            }
                        };
                    let (executed, ()) = tokio::join!(execute, post);
                    executed.is_ok()
                }
                false => {
                    let _ = client.start(&saga, id, &input).await;
                    let _ = client.signal(id, signal, "approved", &7).await;
                    client.wait(&saga, id).await.is_ok()
                }
            }
        };
        let has_ended = begin.await;
        if has_ended && !memory.is_down() {
            memory.restart();
            first.stop().await;
        } else {
            crashes += 1;
            memory.restart();
            // It heard of it, or dies now; whoever began begins again.
            drop(first);
            let second = run(&store, Plans::new().with(&saga), Config::new());
            client.start(&saga, id, &input).await?;
            client.signal(id, signal, "approved", &7).await?;
            client.wait(&saga, id).await?;
            second.stop().await;
        }
        let stage = assert_ended(shape, &store, &services, id).await?;
        assert_eq!(stage == Stage::Done, !fails, "{}", shape.name);
        if has_ended {
            break;
        }
    }
    assert!(crashes > 10, "{}: {crashes}", shape.name);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_of_the_database_loses_and_repeats_nothing() -> Result {
    for shape in &SHAPES {
        for fails in [false, true] {
            crash_everywhere(shape, fails, false).await?;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_of_a_saga_that_its_caller_runs_loses_and_repeats_nothing() -> Result {
    for shape in &SHAPES {
        for fails in [false, true] {
            crash_everywhere(shape, fails, true).await?;
        }
    }
    Ok(())
}

/// Its caller goes away at any poll: who has the bucket goes on.
#[tokio::test(start_paused = true)]
async fn a_saga_whose_caller_goes_away_at_any_poll_goes_on() -> Result {
    for shape in &SHAPES {
        for fails in [false, true] {
            for polls in 0.. {
                let memory = Memory::new();
                let store = MemorySagas::new(&memory);
                let services = Services::default();
                let saga = (shape.declare)(&services, fails);
                // Nobody takes over: it is this one that goes on.
                let lease = std::time::Duration::from_secs(3600);
                let running = run(&store, Plans::new().with(&saga), Config::new().lease(lease));
                let client = Client::new(store.clone());
                warm(&client, &saga).await?;

                let id = SagaId::unique();
                let input = vec![1, 2, 3];
                let mut execute = Box::pin(running.executor.execute(&saga, id, &input));
                let mut context = TaskContext::from_waker(Waker::noop());
                let mut has_ended = false;
                for _ in 0..=polls {
                    has_ended = execute.as_mut().poll(&mut context).is_ready();
                    if has_ended {
                        break;
                    }
                    let signal = uuid::Uuid::from_u128(1);
                    let _ = client.signal(id, signal, "approved", &7).await?;
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                drop(execute);
                let ended = client.wait(&saga, id).await?;
                assert_eq!(matches!(ended, Ended::Done(())), !fails);
                assert_ended(shape, &store, &services, id).await?;
                running.stop().await;
                if has_ended {
                    assert!(polls > 0, "{}: {polls}", shape.name);
                    break;
                }
            }
        }
    }
    Ok(())
}
