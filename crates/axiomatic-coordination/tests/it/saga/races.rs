//! What happens between two operations of a store.
//!
//! Leases last an hour: whatever is forgotten stays so, and nobody follows.
//!
//! One file, since all of it is one definition and one store with gates.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::saga::{
    Builder, Client, Config, Context, Ended, Executor, LocalAction, MemoryWork, Plans, Saga,
    SagaId, Then, Was, encode,
};
use tokio::sync::{Notify, oneshot};

use super::gates::{At, Gated};

pub(super) type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> =
    std::result::Result<T, E>;

const LONG: Duration = Duration::from_secs(3600);

pub(super) fn long() -> Config {
    Config::new().lease(LONG)
}

/// It ends, and well within a lease.
pub(super) async fn ends<T>(what: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(LONG / 10, what).await;
    ended.expect("nobody goes on with it")
}

pub(super) fn definition() -> Saga<Gated, u32, u32> {
    let mut saga = Builder::new("races", 1);
    let input = saga.input();
    let first = saga
        .step("first", input, |_, one: u32| async move {
            tokio::task::yield_now().await;
            Ok(one + 1)
        })
        .compensate_with(|_, _, _: Was<u32>| async { Ok(()) });
    let slept = saga.sleep("sleep", first, Duration::from_millis(1));
    let last = saga
        .step(
            "last",
            (first, slept),
            |_, (one, ()): (u32, ())| async move { Ok(one + 1) },
        )
        .without_undo();
    saga.returns(last).unwrap()
}

pub(super) struct Running {
    pub(super) executor: Executor<Gated>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    /// It ends at once, and gives nothing back.
    pub(super) async fn die(self) {
        self.ended.abort();
        let ended = self.ended.await;
        assert!(ended.is_err_and(|ended| ended.is_cancelled()));
    }

    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        self.ended.await.expect("no panic");
    }
}

pub(super) fn run(store: &Gated, saga: &Saga<Gated, u32, u32>, config: Config) -> Running {
    let plans = Plans::new().with(saga);
    let executor = Executor::new(store.clone(), plans, config).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = executor.clone();
    let ended = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        running.run(shutdown).await.expect("the store works");
    });
    Running {
        executor,
        stop,
        ended,
    }
}

pub(super) async fn warm(running: &Running, saga: &Saga<Gated, u32, u32>) -> Result {
    let client = running.executor.client();
    let id = SagaId::unique();
    client.start(saga, id, &1).await?;
    assert_eq!(client.wait(saga, id).await?, Ended::Done(3));
    Ok(())
}

/// It was begun before, and is taken while its caller begins it again.
#[tokio::test(start_paused = true)]
async fn a_saga_that_is_taken_while_it_is_begun_again_goes_on() -> Result {
    let store = Gated::new();
    let saga = definition();
    let running = run(&store, &saga, long());
    warm(&running, &saga).await?;
    let gate = store.close(At::Start);
    let id = SagaId::unique();
    let execute = running.executor.execute(&saga, id, &1);
    let meanwhile = async {
        gate.arrived.notified().await;
        let client = Client::new(store.clone());
        let taken = store.close(At::Take);
        client.start(&saga, id, &1).await?;
        taken.arrived.notified().await;
        taken.opened.notify_one();
        tokio::time::sleep(Duration::from_secs(2)).await;
        gate.opened.notify_one();
        Result::<()>::Ok(())
    };
    let (executed, begun) = ends(async { tokio::join!(execute, meanwhile) }).await;
    begun?;
    assert_eq!(executed?, Ended::Done(3));
    running.stop().await;
    Ok(())
}

/// What one step has done is being written, and that takes its time.
#[tokio::test(start_paused = true)]
async fn a_step_goes_on_while_the_store_writes_what_another_has_done() -> Result {
    let store = Gated::new();
    let goes = Arc::new(Notify::new());
    let went = Arc::new(Notify::new());
    let mut saga = Builder::new("beside", 1);
    let input = saga.input();
    let quick = saga
        .step("quick", input, |_, one: u32| async move { Ok(one + 1) })
        .without_undo();
    let (may_go, has_gone) = (Arc::clone(&goes), Arc::clone(&went));
    let slow = saga
        .step("slow", input, move |_, one: u32| {
            let (may_go, has_gone) = (Arc::clone(&may_go), Arc::clone(&has_gone));
            async move {
                may_go.notified().await;
                has_gone.notify_one();
                Ok(one + 2)
            }
        })
        .without_undo();
    let last = saga
        .step(
            "last",
            (quick, slow),
            |_, (one, two): (u32, u32)| async move { Ok(one + two) },
        )
        .without_undo();
    let saga = saga.returns(last)?;
    let running = run(&store, &saga, long());
    // Once, so that the executor has its leases.
    goes.notify_one();
    let client = running.executor.client();
    let first = SagaId::unique();
    client.start(&saga, first, &1).await?;
    assert_eq!(client.wait(&saga, first).await?, Ended::Done(5));
    went.notified().await;

    let gate = store.close(At::Append);
    let execute = running.executor.execute(&saga, SagaId::unique(), &1);
    let meanwhile = async {
        gate.arrived.notified().await;
        goes.notify_one();
        went.notified().await;
        gate.opened.notify_one();
    };
    let (executed, ()) = ends(async { tokio::join!(execute, meanwhile) }).await;
    assert_eq!(executed?, Ended::Done(5));
    running.stop().await;
    Ok(())
}

/// Who runs it writes that it waits, and before it has let go the time has come
/// and it is taken.
#[tokio::test(start_paused = true)]
async fn a_saga_that_is_taken_while_it_is_let_go_goes_on() -> Result {
    let store = Gated::new();
    let saga = definition();
    let running = run(&store, &saga, long().keep(Duration::ZERO));
    warm(&running, &saga).await?;
    let let_go = store.close(At::LetGo);
    let id = SagaId::unique();
    let execute = running.executor.execute(&saga, id, &1);
    let meanwhile = async {
        let_go.arrived.notified().await;
        let taken = store.close(At::Take);
        taken.arrived.notified().await;
        taken.opened.notify_one();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let_go.opened.notify_one();
    };
    let (executed, ()) = ends(async { tokio::join!(execute, meanwhile) }).await;
    assert_eq!(executed?, Ended::Done(3));
    running.stop().await;
    Ok(())
}

/// It is taken once more for a letter that is being read; and before it is
/// handed on, who runs it has let go of it.
#[tokio::test(start_paused = true)]
async fn a_saga_that_was_taken_before_it_was_let_go_launches_nothing_again() -> Result {
    let store = Gated::new();
    let launched = Arc::new(Mutex::new(Vec::new()));
    let launches = launched.clone();
    let mut saga = Builder::new("races", 1);
    let input = saga.input();
    let go = saga.signal::<u32, _>("go", input);
    let work = saga
        .step("work", go, move |context, one: u32| {
            launches.lock().unwrap().push(context.attempt());
            async move { Ok(one) }
        })
        .without_undo();
    saga.signal::<u32, _>("end", work);
    let saga = saga.returns(work)?;
    let running = run(&store, &saga, long());
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    let is_let_go = async || {
        while running.executor.snapshot().in_memory > 0 {
            tokio::task::yield_now().await;
        }
    };
    client.start(&saga, id, &1).await?;
    ends(async {
        while client.find(id).await.unwrap().unwrap().records.is_empty() {
            tokio::task::yield_now().await;
        }
        is_let_go().await;
    })
    .await;
    let reads = store.close(At::Append);
    client
        .signal(id, uuid::Uuid::from_u128(1), "go", &1)
        .await?;
    ends(reads.arrived.notified()).await;
    let taken = store.close(At::Take);
    ends(taken.arrived.notified()).await;
    reads.opened.notify_one();
    ends(is_let_go()).await;
    taken.opened.notify_one();
    client
        .signal(id, uuid::Uuid::from_u128(2), "end", &1)
        .await?;
    assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(1));
    assert_eq!(*launched.lock().unwrap(), [1]);
    running.stop().await;
    Ok(())
}

/// Its caller goes away while a line is on its way to the database, and who
/// goes on has read the log without it.
#[tokio::test(start_paused = true)]
async fn a_line_that_arrives_when_its_caller_has_gone_is_read_again() -> Result {
    let store = Gated::new();
    let saga = definition();
    let running = run(&store, &saga, long());
    warm(&running, &saga).await?;
    let id = SagaId::unique();
    let late = store.close(At::Append);
    let mut execute = Box::pin(running.executor.execute(&saga, id, &1));
    tokio::select! {
        _ = &mut execute => panic!("its line is on its way"),
        () = late.arrived.notified() => {}
    }
    let next = store.close(At::Append);
    drop(execute);
    ends(next.arrived.notified()).await;
    late.opened.notify_one();
    tokio::time::sleep(Duration::from_millis(1)).await;
    next.opened.notify_one();
    let client = Client::new(store.clone());
    assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(3));
    running.stop().await;
    Ok(())
}

/// The shutdown comes while buckets are being claimed.
#[tokio::test(start_paused = true)]
async fn what_is_claimed_during_the_shutdown_is_given_back() -> Result {
    let store = Gated::new();
    let saga = definition();
    let claims = store.close(At::Claim);
    let first = run(&store, &saga, long());
    ends(claims.arrived.notified()).await;
    let mut stopping = Box::pin(first.stop());
    let still = tokio::time::timeout(Duration::from_secs(1), &mut stopping).await;
    assert!(still.is_err(), "it does not know what it has claimed");
    claims.opened.notify_one();
    ends(stopping).await;
    let second = run(&store, &saga, long());
    ends(warm(&second, &saga)).await?;
    second.stop().await;
    Ok(())
}

/// While a line is written that says that a letter was read, the letter is
/// given again.
#[tokio::test(start_paused = true)]
async fn a_letter_that_is_given_twice_is_read_once() -> Result {
    let store = Gated::new();
    let mut saga = Builder::new("races", 1);
    let input = saga.input();
    let first = saga
        .step("first", input, |_, one: u32| async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok(one)
        })
        .without_undo();
    saga.signal::<u32, _>("said", first);
    let saga = saga.returns(first)?;
    let running = run(&store, &saga, long());
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&saga, id, &1).await?;
    ends(async {
        while client.find(id).await.unwrap().unwrap().records.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let reads = store.close(At::Append);
    client
        .signal(id, uuid::Uuid::from_u128(1), "said", &1)
        .await?;
    ends(reads.arrived.notified()).await;
    let again = store.close(At::Take);
    client
        .signal(id, uuid::Uuid::from_u128(2), "said", &2)
        .await?;
    ends(again.arrived.notified()).await;
    again.opened.notify_one();
    tokio::time::sleep(Duration::from_millis(1)).await;
    reads.opened.notify_one();
    assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(1));
    let found = client.find(id).await?.unwrap();
    let letters: Vec<_> = found
        .records
        .iter()
        .filter_map(|line| line.record.mail)
        .collect();
    assert_eq!(letters, [1, 2].map(uuid::Uuid::from_u128));
    running.stop().await;
    Ok(())
}

/// Says when it is dropped.
/// Says when it was dropped.
pub(super) struct Dropped(pub(super) Arc<Mutex<Option<tokio::time::Instant>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = Some(tokio::time::Instant::now());
    }
}

/// Its leases are not prolonged, since the database does not answer: before
/// another has the saga, it has stopped what it does.
#[tokio::test(start_paused = true)]
async fn what_is_running_is_dropped_when_its_lease_ends() -> Result {
    let store = Gated::new();
    let lease = Duration::from_secs(20);
    let dropped = Arc::new(Mutex::new(None));
    let drops = dropped.clone();
    let mut saga = Builder::new("races", 1);
    let input = saga.input();
    let first = saga
        .step("first", input, move |context, one: u32| {
            let drops = drops.clone();
            async move {
                if context.attempt() == 1 {
                    let _running = Dropped(drops);
                    std::future::pending::<()>().await;
                }
                Ok(one)
            }
        })
        .timeout(LONG)
        .without_undo();
    let saga = saga.returns(first)?;
    // A look for what is due is no reason to hear of it in time.
    let config = || Config::new().lease(lease).poll(Duration::from_secs(7));
    let begins = tokio::time::Instant::now();
    let running = run(&store, &saga, config());
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&saga, id, &1).await?;
    ends(async {
        while client.find(id).await.unwrap().unwrap().records.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let silent = store.close(At::Attend);
    ends(silent.arrived.notified()).await;
    let second = run(&store, &saga, config());
    assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(1));
    // It was never prolonged.
    let dropped = dropped.lock().unwrap().expect("it was dropped");
    assert!(dropped <= begins + lease, "{:?}", dropped - begins);
    silent.opened.notify_one();
    running.stop().await;
    second.stop().await;
    Ok(())
}

/// Local work is done and nobody hears of it, while something else flies: what
/// the log says is read, and what flies is awaited.
#[tokio::test(start_paused = true)]
async fn local_work_whose_answer_is_lost_is_not_done_again() -> Result {
    let store = Gated::new();
    let begun = Arc::new(Mutex::new(0));
    let counts = begun.clone();
    let mut saga = Builder::new("races", 1);
    let input = saga.input();
    let slow = saga
        .step("slow", input, move |_, one: u32| {
            *counts.lock().unwrap() += 1;
            async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok(one)
            }
        })
        .without_undo();
    saga.local_step("local", input, Count).without_undo();
    let saga = saga.returns(slow)?;
    let running = run(&store, &saga, long());
    let lost = store.close(At::Work);
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&saga, id, &1).await?;
    ends(lost.arrived.notified()).await;
    lost.opened.notify_one();
    assert_eq!(ends(client.wait(&saga, id)).await?, Ended::Done(1));
    assert_eq!(store.database().read("count").as_deref(), Some(&b"x"[..]));
    assert_eq!(*begun.lock().unwrap(), 1);
    running.stop().await;
    Ok(())
}

/// Appends to a row.
pub(super) struct Count;

impl LocalAction<Gated, u32, u32> for Count {
    fn work(&self, _: Context, one: u32, then: Then) -> MemoryWork {
        MemoryWork::new(move |tx| {
            let mut count = tx.read("count").unwrap_or_default().to_vec();
            count.push(b'x');
            tx.put("count", count);
            then(encode(&one)?)
        })
    }
}
