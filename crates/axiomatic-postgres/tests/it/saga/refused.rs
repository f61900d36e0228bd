//! A step whose transaction the server does not commit.

use axiomatic_coordination::saga::{Builder, Config, Context, Ended, Executor, Plans};
use axiomatic_core::backoff::Backoff;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::support::FOR_EVER;

/// It goes on behind an error, and PostgreSQL takes nothing from it any more:
/// that is the step's fault, and no other saga's.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_swallows_an_error_has_not_happened_and_costs_the_others_nothing() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(5));
    let insert = scene.sql("INSERT INTO {schema}.account VALUES ('paid')");
    let mut saga = Builder::<Sagas, i32>::new("pay", 1);
    let divisor = saga.input();
    let action = Sagas::local(move |tx, _: &Context, divisor: i32| {
        let insert = insert.clone();
        Box::pin(async move {
            tx.execute(&insert, &[]).await?;
            let quotient = tx.query_one("SELECT 1 / $1::int", &[&divisor]).await;
            Ok(quotient.map_or(0, |row| row.get::<_, i32>(0)))
        })
    });
    let paid = saga.local_step("pay", divisor, action);
    let paid = paid.attempts(2, soon).without_undo();
    let saga = saga.returns(paid).unwrap();
    let plans = Plans::new().with(&saga);
    let executor = Executor::new(scene.store.clone(), plans, Config::new()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = executor.clone();
    let running = tokio::spawn(async move { running.run(async { drop(stopped.await) }).await });
    let client = executor.client();
    for (divisor, is_done) in [(0, false), (1, true)] {
        let id = SagaId::unique();
        client.start(&saga, id, &divisor).await.unwrap();
        let ended = timeout(FOR_EVER, client.wait(&saga, id)).await;
        match ended.expect("it ends").unwrap() {
            Ended::Done(quotient) => assert!(is_done && quotient == 1),
            Ended::Compensated(why) => assert!(!is_done, "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(scene.accounts().await, 1);
    stop.send(()).unwrap();
    running.await.unwrap().expect("the store works");
}
