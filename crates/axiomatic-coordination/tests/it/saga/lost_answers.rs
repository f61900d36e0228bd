//! What is not known to have been written, and what was to be begun with it.
//!
//! Leases last an hour: whatever is forgotten stays so, and nobody follows.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axiomatic_coordination::saga::{
    BUCKETS, Builder, Client, Config, Ended, Kind, Saga, SagaId, Stage, Was,
};

use super::gates::{At, Gated};
use super::races::{Count, Result, Running, ends, long, run};

/// Runs until it has its buckets.
async fn ready(store: &Gated, saga: &Saga<Gated, u32, u32>) -> Running {
    let running = run(store, saga, long());
    ends(async {
        while running.executor.snapshot().buckets < BUCKETS.all().count() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running
}

/// Of which attempts something was launched, and what was in the log then.
type Launches = Arc<Mutex<Vec<(u32, Vec<(Kind, u32)>)>>>;

/// Does its work at once; in the first attempt, if it `hangs`, never.
fn launching(store: &Gated, hangs: bool) -> (Saga<Gated, u32, u32>, Launches) {
    let launches = Launches::default();
    let launched = launches.clone();
    let client = Client::new(store.clone());
    let mut saga = Builder::new("lost", 1);
    let input = saga.input();
    let work = saga
        .step("work", input, move |context, one: u32| {
            let (launched, client) = (launched.clone(), client.clone());
            async move {
                let found = client.find(context.saga()).await?.ok_or("it is gone")?;
                let lines = found.records.iter().map(|line| &line.record);
                let lines = lines.map(|line| (line.kind, line.attempt)).collect();
                launched.lock().unwrap().push((context.attempt(), lines));
                if hangs && context.attempt() == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(one)
            }
        })
        .timeout(Duration::from_secs(3600))
        .compensate_with(|_, _, _: Was<u32>| async { Ok(()) });
    (saga.returns(work).unwrap(), launches)
}

/// It is written that the saga begins, and before its caller hears of it, an
/// operator cancels.
#[tokio::test(start_paused = true)]
async fn a_saga_that_is_cancelled_before_its_start_is_answered_does_not_do_its_pivot() -> Result {
    let store = Gated::new();
    let saga = Builder::new("lost", 1);
    let input = saga.input();
    let (saga, paid) = saga.local_pivot("pay", input, Count).commit();
    let saga = saga.returns(paid)?;
    let running = ready(&store, &saga).await;
    let lost = store.close(At::Unanswered);
    let id = SagaId::unique();
    let execute = running.executor.execute(&saga, id, &1);
    let meanwhile = async {
        lost.arrived.notified().await;
        let cancelled = Client::new(store.clone())
            .cancel(id, "olga", "by hand")
            .await;
        lost.opened.notify_one();
        cancelled
    };
    let (executed, cancelled) = ends(async { tokio::join!(execute, meanwhile) }).await;
    cancelled?;
    assert!(matches!(executed?, Ended::Compensated(_)));
    assert_eq!(store.database().read("count"), None);
    running.stop().await;
    Ok(())
}

/// The question is lost, and meanwhile another begins the same saga, which has
/// an empty log.
#[tokio::test(start_paused = true)]
async fn what_another_has_begun_is_launched_when_it_is_written_that_it_begins() -> Result {
    let store = Gated::new();
    let (saga, launches) = launching(&store, false);
    let running = ready(&store, &saga).await;
    let lost = store.close(At::Unasked);
    let id = SagaId::unique();
    let execute = running.executor.execute(&saga, id, &1);
    let meanwhile = async {
        lost.arrived.notified().await;
        let begun = Client::new(store.clone()).start(&saga, id, &1).await;
        lost.opened.notify_one();
        begun
    };
    let (executed, begun) = ends(async { tokio::join!(execute, meanwhile) }).await;
    begun?;
    assert_eq!(executed?, Ended::Done(1));
    assert_eq!(*launches.lock().unwrap(), [(1, vec![(Kind::Began, 1)])]);
    running.stop().await;
    Ok(())
}

/// Its caller goes away while it runs and asks anew at once; and that question
/// is lost.
#[tokio::test(start_paused = true)]
async fn what_was_launched_is_not_launched_again_by_a_caller_that_asks_again() -> Result {
    let store = Gated::new();
    let (saga, launches) = launching(&store, true);
    let running = ready(&store, &saga).await;
    let id = SagaId::unique();
    let mut first = Box::pin(running.executor.execute(&saga, id, &1));
    let launched = poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(ended) => panic!("it hangs: {ended:?}"),
        Poll::Pending if launches.lock().unwrap().is_empty() => Poll::Pending,
        Poll::Pending => Poll::Ready(()),
    });
    ends(launched).await;
    let lost = store.close(At::Unasked);
    drop(first);
    // Before anybody else has a turn.
    let second = running.executor.execute(&saga, id, &1);
    let meanwhile = async {
        lost.arrived.notified().await;
        lost.opened.notify_one();
    };
    let (executed, ()) = ends(async { tokio::join!(second, meanwhile) }).await;
    assert_eq!(executed?, Ended::Done(1));
    let launches = launches.lock().unwrap().clone();
    let attempts: Vec<_> = launches.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, [1, 2]);
    running.stop().await;
    Ok(())
}

/// Leases are prolonged, and the answer comes when they have ended here: what
/// ran was dropped by then, or hears only later that another lease has it.
#[tokio::test(start_paused = true)]
async fn what_was_dropped_before_its_lease_was_heard_to_be_prolonged_is_run_again() -> Result {
    for is_dropped in [false, true] {
        let store = Gated::new();
        let (saga, launches) = launching(&store, true);
        let lease = Duration::from_secs(30);
        let running = run(&store, &saga, Config::new().lease(lease));
        let client = Client::new(store.clone());
        let id = SagaId::unique();
        client.start(&saga, id, &1).await?;
        ends(async {
            while launches.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let late = store.close(At::Attended);
        ends(late.arrived.notified()).await;
        let is_over = || {
            let snapshot = running.executor.snapshot();
            snapshot.buckets == 0 && (snapshot.in_memory == 0 || !is_dropped)
        };
        ends(async {
            while !is_over() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        late.opened.notify_one();
        assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(1));
        running.stop().await;
    }
    Ok(())
}

/// Its caller goes away while it is on its way to the database, and nobody finds
/// it there who looks at once.
#[tokio::test(start_paused = true)]
async fn a_saga_that_begins_when_its_caller_has_gone_is_run() -> Result {
    let store = Gated::new();
    let (saga, launches) = launching(&store, false);
    let running = ready(&store, &saga).await;
    let id = SagaId::unique();
    let late = store.close(At::Starting);
    let mut execute = Box::pin(running.executor.execute(&saga, id, &1));
    tokio::select! {
        _ = &mut execute => panic!("it is on its way"),
        () = late.arrived.notified() => {}
    }
    drop(execute);
    // All that is ready has had its turn.
    tokio::time::sleep(Duration::from_millis(1)).await;
    late.opened.notify_one();
    let client = Client::new(store.clone());
    assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(1));
    assert_eq!(launches.lock().unwrap().len(), 1);
    running.stop().await;
    Ok(())
}

/// Of two steps in the saga's database one is asked for and not answered, and
/// an operator cancels before the other's turn.
#[tokio::test(start_paused = true)]
async fn local_work_that_has_not_had_its_turn_is_not_done_when_the_saga_has_turned() -> Result {
    let store = Gated::new();
    let mut saga = Builder::new("lost", 1);
    let input = saga.input();
    let one = saga.local_step("one", input, Count).without_undo();
    saga.local_step("other", input, Count).without_undo();
    let saga = saga.returns(one)?;
    let running = ready(&store, &saga).await;
    let lost = store.close(At::Work);
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&saga, id, &1).await?;
    ends(lost.arrived.notified()).await;
    client.cancel(id, "olga", "by hand").await?;
    lost.opened.notify_one();
    let ended = ends(client.wait(&saga, id)).await?;
    assert!(matches!(ended, Ended::Compensated(_)));
    assert_eq!(store.database().read("count").as_deref(), Some(&b"x"[..]));
    let found = client.find(id).await?.expect("it began");
    assert_eq!(found.summary.stage, Stage::Compensated);
    let kinds: Vec<_> = found.records.iter().map(|line| line.record.kind).collect();
    assert_eq!(kinds, [Kind::Done, Kind::Turned]);
    running.stop().await;
    Ok(())
}

/// What commits with the last step in its database is the end of a saga.
#[tokio::test(start_paused = true)]
async fn a_saga_that_has_ended_with_a_local_step_is_written_no_more() -> Result {
    let store = Gated::new();
    let mut saga = Builder::new("lost", 1);
    let input = saga.input();
    let counted = saga.local_step("count", input, Count).without_undo();
    let saga = saga.returns(counted)?;
    let running = ready(&store, &saga).await;
    let written = store.close(At::LetGo);
    tokio::select! {
        ended = running.executor.execute(&saga, SagaId::unique(), &1) => {
            assert_eq!(ended?, Ended::Done(1));
        }
        () = written.arrived.notified() => panic!("it has ended, and is written"),
    }
    running.stop().await;
    Ok(())
}
