//! Leases that end under what runs, and executors that end without giving them
//! back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::saga::{Builder, Client, Config, Ended, Saga, SagaId};
use tokio::sync::Notify;

use super::gates::{At, Gated};
use super::races::{Dropped, Result, ends, long, run};

const LEASE: Duration = Duration::from_secs(20);

/// A saga whose first attempt never answers.
struct Stands {
    saga: Saga<Gated, u32, u32>,
    begun: Arc<Notify>,
    dropped: Arc<Mutex<Option<tokio::time::Instant>>>,
    /// All that were begun.
    attempts: Arc<Mutex<Vec<u32>>>,
}

/// With a step beside it that is quick, or without.
fn stands(has_quick: bool) -> Stands {
    let (begun, dropped) = (Arc::<Notify>::default(), Arc::default());
    let attempts: Arc<Mutex<Vec<u32>>> = Arc::default();
    let mut saga = Builder::new("stands", 1);
    let input = saga.input();
    if has_quick {
        saga.step("quick", input, |_, one: u32| async move { Ok(one) })
            .without_undo();
    }
    let (begins, drops, counts) = (begun.clone(), Arc::clone(&dropped), attempts.clone());
    let first = saga
        .step("first", input, move |context, one: u32| {
            let (begins, drops) = (begins.clone(), Arc::clone(&drops));
            counts.lock().unwrap().push(context.attempt());
            async move {
                if context.attempt() == 1 {
                    let _running = Dropped(drops);
                    begins.notify_one();
                    std::future::pending::<()>().await;
                }
                Ok(one)
            }
        })
        .timeout(LEASE * 100)
        .without_undo();
    Stands {
        saga: saga.returns(first).unwrap(),
        begun,
        dropped,
        attempts,
    }
}

fn config() -> Config {
    // A look for what is due is no reason to hear of it in time.
    Config::new().lease(LEASE).poll(Duration::from_secs(7))
}

/// It was dropped, and is run anew within its leases.
#[tokio::test(start_paused = true)]
async fn an_executor_that_runs_again_goes_on_with_what_it_ran() -> Result {
    let store = Gated::new();
    let Stands { saga, begun, .. } = stands(false);
    let running = run(&store, &saga, long());
    let executor = running.executor.clone();
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&saga, id, &1).await?;
    ends(begun.notified()).await;
    running.die().await;
    let again = tokio::spawn(async move { executor.run(std::future::pending()).await });
    assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(1));
    again.abort();
    Ok(())
}

/// Nobody prolongs the lease of what a caller runs when the executor has gone.
#[tokio::test(start_paused = true)]
async fn what_a_caller_runs_is_dropped_when_the_executor_has_gone() -> Result {
    let store = Gated::new();
    let stands = stands(false);
    let running = run(&store, &stands.saga, config());
    let client = Client::new(store.clone());
    let warm = SagaId::unique();
    client.start(&stands.saga, warm, &1).await?;
    ends(stands.begun.notified()).await;
    let id = SagaId::unique();
    let (executor, saga) = (running.executor.clone(), stands.saga.clone());
    let executed = tokio::spawn(async move { executor.execute(&saga, id, &1).await });
    ends(stands.begun.notified()).await;
    *stands.dropped.lock().unwrap() = None;
    let gone = tokio::time::Instant::now();
    running.die().await;
    let second = run(&store, &stands.saga, config());
    assert_eq!(ends(executed).await??, Ended::Done(1));
    let dropped = stands.dropped.lock().unwrap().expect("it was dropped");
    assert!(dropped <= gone + LEASE, "{:?}", dropped - gone);
    second.stop().await;
    Ok(())
}

/// What a step beside it has done is being written, and the store does not
/// answer any more.
#[tokio::test(start_paused = true)]
async fn what_flies_while_the_store_writes_is_dropped_when_the_lease_ends() -> Result {
    let store = Gated::new();
    let stands = stands(true);
    let begins = tokio::time::Instant::now();
    let running = run(&store, &stands.saga, config());
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    let began = store.close(At::Append);
    client.start(&stands.saga, id, &1).await?;
    ends(began.arrived.notified()).await;
    let writes = store.close(At::Append);
    began.opened.notify_one();
    ends(writes.arrived.notified()).await;
    let silent = store.close(At::Attend);
    ends(silent.arrived.notified()).await;
    let second = run(&store, &stands.saga, config());
    assert_eq!(ends(client.wait(&stands.saga, id)).await?, Ended::Done(1));
    let dropped = stands.dropped.lock().unwrap().expect("it was dropped");
    assert!(dropped <= begins + LEASE, "{:?}", dropped - begins);
    writes.opened.notify_one();
    silent.opened.notify_one();
    running.stop().await;
    second.stop().await;
    Ok(())
}

/// That it begins is written, and that is heard when another has the saga.
#[tokio::test(start_paused = true)]
async fn what_is_heard_too_late_to_be_written_is_not_launched() -> Result {
    let store = Gated::new();
    let stands = stands(false);
    let running = run(&store, &stands.saga, config());
    ends(async {
        while running.executor.snapshot().buckets == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    let late = store.close(At::Started);
    let (executor, saga) = (running.executor.clone(), stands.saga.clone());
    let executed = tokio::spawn(async move { executor.execute(&saga, id, &1).await });
    ends(late.arrived.notified()).await;
    let silent = store.close(At::Attend);
    ends(silent.arrived.notified()).await;
    let second = run(&store, &stands.saga, config());
    assert_eq!(ends(client.wait(&stands.saga, id)).await?, Ended::Done(1));
    late.opened.notify_one();
    assert_eq!(ends(executed).await??, Ended::Done(1));
    assert_eq!(*stands.attempts.lock().unwrap(), [2]);
    silent.opened.notify_one();
    running.stop().await;
    second.stop().await;
    Ok(())
}
