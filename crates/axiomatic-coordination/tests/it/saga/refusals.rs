//! Sagas that cannot be written, or read, or run here: they cost the others
//! nothing.

use std::time::Duration;

use axiomatic_coordination::saga::{
    Builder, Client, Ended, Executor, Plans, SagaId, Stage, StartError,
};
use axiomatic_core::backoff::Backoff;

use super::gates::{At, Gated, Refused};
use super::races::{Count, Result, definition, ends, long, run, warm};

const SOON: Backoff = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(5));

async fn comes_to(client: &Client<Gated>, saga: SagaId, stage: Stage) {
    ends(async {
        while client.find(saga).await.unwrap().unwrap().summary.stage != stage {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Whoever runs it goes on, and an operator brings it back.
#[tokio::test(start_paused = true)]
async fn a_saga_whose_lines_are_refused_is_parked_and_the_others_go_on() -> Result {
    for executes in [false, true] {
        let store = Gated::new();
        let saga = definition();
        let running = run(&store, &saga, long());
        let client = Client::new(store.clone());
        warm(&running, &saga).await?;
        let id = SagaId::unique();
        store.refuse(Refused::Lines(id));
        match executes {
            true => {
                let executed = ends(running.executor.execute(&saga, id, &1)).await;
                assert!(
                    matches!(executed, Err(StartError::Store(_))),
                    "{executed:?}"
                );
            }
            false => drop(client.start(&saga, id, &1).await?),
        }
        comes_to(&client, id, Stage::Parked).await;
        let found = client.find(id).await?.expect("it has begun");
        let why = found.summary.result.expect("it is said why");
        assert!(String::from_utf8_lossy(&why).contains("refused"), "{why:?}");
        warm(&running, &saga).await?;
        store.refuse(Refused::Nothing);
        client.resume(id, "olga", "the disk was mended").await?;
        assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(3));
        running.stop().await;
    }
    Ok(())
}

/// As a transaction is that went on behind an error.
#[tokio::test(start_paused = true)]
async fn local_work_that_is_refused_is_tried_again_and_given_up() -> Result {
    let store = Gated::new();
    let mut saga = Builder::new("refused", 1);
    let input = saga.input();
    let work = saga
        .local_step("work", input, Count)
        .attempts(2, SOON)
        .without_undo();
    let saga = saga.returns(work)?;
    let running = run(&store, &saga, long());
    let client = Client::new(store.clone());
    let (id, other) = (SagaId::unique(), SagaId::unique());
    store.refuse(Refused::Work(id));
    client.start(&saga, id, &1).await?;
    client.start(&saga, other, &1).await?;
    assert_eq!(ends(client.wait(&saga, other)).await?, Ended::Done(1));
    let ended = ends(client.wait(&saga, id)).await?;
    let Ended::Compensated(why) = ended else {
        panic!("{ended:?}");
    };
    assert!(why.to_string().contains("refused"), "{why}");
    assert_eq!(store.database().read("count").as_deref(), Some(&b"x"[..]));
    running.stop().await;
    Ok(())
}

/// Nobody here can read its letter.
#[tokio::test(start_paused = true)]
async fn a_parked_saga_with_a_letter_keeps_nobody_from_being_run() -> Result {
    let store = Gated::new();
    let saga = definition();
    let mut unknown = Builder::<Gated, u32>::new("unknown", 1);
    unknown.signal::<u32, _>("go", unknown.input());
    let unknown = unknown.build()?;
    let park = Duration::from_secs(60);
    let running = run(&store, &saga, long().at_once(1).park(park));
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&unknown, id, &1).await?;
    comes_to(&client, id, Stage::Parked).await;
    client.signal(id, id.0, "go", &1).await?;
    ends(warm(&running, &saga)).await?;
    tokio::time::sleep(park * 10).await;
    // Once in its time, and twice for the beginning and the letter.
    assert!((10..=13).contains(&store.parked()), "{}", store.parked());
    running.stop().await;
    Ok(())
}

/// It was loaded without it, and who parks it does not know it.
#[tokio::test(start_paused = true)]
async fn a_letter_that_comes_while_a_saga_is_parked_is_heeded() -> Result {
    let store = Gated::new();
    let saga = definition();
    // Nothing is taken while it is parked, so it is not told either.
    let config = long().park(Duration::MAX).at_once(1);
    let executor = Executor::new(store.clone(), Plans::new(), config)?;
    let running = tokio::spawn(async move { executor.run(std::future::pending()).await });
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    let parks = store.close(At::Park);
    client.start(&saga, id, &1).await?;
    ends(parks.arrived.notified()).await;
    client.abandon(id, "olga", "nobody runs it").await?;
    parks.opened.notify_one();
    comes_to(&client, id, Stage::Abandoned).await;
    running.abort();
    Ok(())
}
