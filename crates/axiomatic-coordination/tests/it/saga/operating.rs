//! What operators and callers say to sagas, and sagas that cannot go on.
//!
//! One file, because all of it is said to a few small definitions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{
    Builder, Client, Config, Context, Ended, Fault, Found, Kind, MemorySagas, Plans, Probed, Saga,
    SagaId, Stage, Was,
};
use axiomatic_core::backoff::Backoff;
use tokio::sync::Notify;

use super::services::{Running, run};

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const SOON: Backoff = Backoff::constant(Duration::from_millis(1));

struct Desk {
    store: MemorySagas,
    client: Client<MemorySagas>,
}

impl Desk {
    fn new() -> Self {
        let store = MemorySagas::new(&Memory::new());
        let client = Client::new(store.clone());
        Desk { store, client }
    }

    fn run<In, Out>(&self, saga: &Saga<MemorySagas, In, Out>) -> Running {
        let config = Config::new().park(Duration::from_secs(1));
        run(&self.store, Plans::new().with(saga), config)
    }

    async fn found(&self, saga: SagaId) -> Found {
        self.client.find(saga).await.unwrap().expect("it began")
    }

    /// Waits until it is so.
    async fn until(&self, saga: SagaId, is_so: impl Fn(&Found) -> bool) -> Found {
        loop {
            if let Some(found) = self.client.find(saga).await.unwrap().filter(&is_so) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn until_it_is(&self, saga: SagaId, stage: Stage) -> Found {
        self.until(saga, |found| found.summary.stage == stage).await
    }
}

fn lines(found: &Found) -> Vec<String> {
    let lines = found.records.iter().map(|line| {
        let record = &line.record;
        format!("{} {}", record.kind.as_str(), record.step)
    });
    lines.collect()
}

/// Who did it, and why, stands in the log.
fn assert_audited(found: &Found, kind: Kind) {
    let mut audited = found.records.iter().filter(|line| line.record.kind == kind);
    let line = audited
        .next()
        .unwrap_or_else(|| panic!("no {kind:?}: {:?}", lines(found)));
    let said: serde_json::Value = serde_json::from_slice(&line.record.data).unwrap();
    assert_eq!(said["by"], "olga");
    assert_eq!(said["reason"], "by hand");
    assert!(line.record.mail.is_some());
}

#[derive(Default)]
struct Switches {
    /// The undo of the first step fails.
    undo_fails: Mutex<bool>,
    /// The second step does.
    step_fails: Mutex<bool>,
    keys: Mutex<Vec<String>>,
}

/// Two steps: the second fails, and the undo of the first.
fn stubborn() -> (Saga<MemorySagas, (), u32>, Arc<Switches>) {
    let switches = Arc::new(Switches::default());
    *switches.undo_fails.lock().unwrap() = true;
    *switches.step_fails.lock().unwrap() = true;
    let (undoing, doing, keys) = (switches.clone(), switches.clone(), switches.clone());
    let mut saga = Builder::new("stubborn", 1);
    let input = saga.input();
    let before = saga
        .step("before", input, move |context: Context, ()| {
            let keys = keys.clone();
            async move {
                keys.keys.lock().unwrap().push(context.key().to_string());
                Ok(1u32)
            }
        })
        .compensate_with(|_, (), _: Was<u32>| async { Ok(()) });
    let first = saga
        .step("first", before, |_, one: u32| async move { Ok(one) })
        .undo_attempts(2, SOON)
        .compensate_with(move |_, _, _: Was<u32>| {
            let fails = *undoing.undo_fails.lock().unwrap();
            async move {
                match fails {
                    true => Err(Fault::unknown("it cannot be undone")),
                    false => Ok(()),
                }
            }
        });
    let second = saga
        .step("second", first, move |_, one: u32| {
            let fails = *doing.step_fails.lock().unwrap();
            async move {
                match fails {
                    true => Err(Fault::failed("no")),
                    false => Ok(one + 1),
                }
            }
        })
        .without_undo();
    (saga.returns(second).unwrap(), switches)
}

async fn stuck() -> Result<(
    Desk,
    Running,
    Saga<MemorySagas, (), u32>,
    Arc<Switches>,
    SagaId,
)> {
    let desk = Desk::new();
    let (saga, switches) = stubborn();
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    let found = desk.until_it_is(id, Stage::Stuck).await;
    let why = String::from_utf8_lossy(found.summary.result.as_deref().unwrap()).into_owned();
    assert!(why.contains("\"step\":\"first\""), "{why}");
    let times = "it was tried 2 times, the last: it cannot be undone";
    assert!(why.contains(times), "{why}");
    Ok((desk, running, saga, switches, id))
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_stuck_is_tried_again_when_an_operator_says_so() -> Result {
    let (desk, running, saga, switches, id) = stuck().await?;
    *switches.undo_fails.lock().unwrap() = false;
    desk.client
        .retry_undo(id, "first", "olga", "by hand")
        .await?;
    assert!(matches!(
        desk.client.wait(&saga, id).await?,
        Ended::Compensated(_)
    ));
    let found = desk.found(id).await;
    assert_audited(&found, Kind::UndoRetried);
    let undone = found
        .records
        .iter()
        .filter(|line| line.record.kind == Kind::Undone);
    assert_eq!(undone.count(), 2);
    running.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_stuck_is_left_out_when_an_operator_says_so() -> Result {
    let (desk, running, saga, _, id) = stuck().await?;
    desk.client
        .skip_undo(id, "first", "olga", "by hand")
        .await?;
    assert!(matches!(
        desk.client.wait(&saga, id).await?,
        Ended::Compensated(_)
    ));
    let found = desk.found(id).await;
    assert_audited(&found, Kind::UndoSkipped);
    assert_eq!(lines(&found).last().unwrap(), "undone before");
    running.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_is_given_up_ends_as_it_is() -> Result {
    let (desk, running, saga, _, id) = stuck().await?;
    desk.client.abandon(id, "olga", "by hand").await?;
    assert!(matches!(
        desk.client.wait(&saga, id).await?,
        Ended::Abandoned(_)
    ));
    let found = desk.found(id).await;
    assert_audited(&found, Kind::Abandoned);
    assert_eq!(lines(&found).last().unwrap(), "abandoned ");
    running.stop().await;
    Ok(())
}

/// What was undone is done anew, with another key; what could not be is as
/// done as it was.
#[tokio::test(start_paused = true)]
async fn a_saga_that_is_resumed_goes_forward_with_new_keys() -> Result {
    let (desk, running, saga, switches, id) = stuck().await?;
    *switches.step_fails.lock().unwrap() = false;
    desk.client.resume(id, "olga", "by hand").await?;
    assert_eq!(desk.client.wait(&saga, id).await?, Ended::Done(2));
    let found = desk.found(id).await;
    assert_audited(&found, Kind::Resumed);
    // Nothing before the stuck undo was undone: it is not done again.
    assert_eq!(switches.keys.lock().unwrap().len(), 1);
    running.stop().await;
    Ok(())
}

/// A branch that was undone is done anew, and by its key it is another.
#[tokio::test(start_paused = true)]
async fn what_was_undone_is_done_anew_with_another_key() -> Result {
    let desk = Desk::new();
    let keys = Arc::new(Mutex::new(Vec::new()));
    let fails = Arc::new(Mutex::new(true));
    let (seen, failing) = (keys.clone(), fails.clone());
    let mut saga = Builder::<_, ()>::new("branches", 1);
    let input = saga.input();
    let stuck = saga
        .step("stuck", input, |_, ()| async { Ok(()) })
        .undo_attempts(1, SOON)
        .compensate_with(|_, (), _: Was<()>| async { Err(Fault::unknown("no")) });
    let undone = saga
        .step("undone", input, move |context: Context, ()| {
            let seen = seen.clone();
            async move {
                seen.lock().unwrap().push(context.key());
                Ok(())
            }
        })
        .compensate_with(|_, (), _: Was<()>| async { Ok(()) });
    // It waits for a signal that has not come when the saga turns.
    saga.signal::<(), _>("waits", input);
    saga.step("last", (stuck, undone), move |_, ((), ())| {
        let fails = *failing.lock().unwrap();
        async move {
            match fails {
                true => Err(Fault::failed("no")),
                false => Ok(()),
            }
        }
    })
    .without_undo();
    let saga = saga.build()?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    desk.until_it_is(id, Stage::Stuck).await;
    *fails.lock().unwrap() = false;
    desk.client.resume(id, "olga", "by hand").await?;
    desk.client.signal(id, id.0, "waits", &()).await?;
    assert_eq!(desk.client.wait(&saga, id).await?, Ended::Done(()));
    let keys = keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    running.stop().await;
    Ok(())
}

/// A saga that waits for a signal before its pivot, and for one behind it.
fn waiting(deadline: Option<Duration>) -> Saga<MemorySagas, (), ()> {
    let mut saga = Builder::new("waiting", 1);
    if let Some(deadline) = deadline {
        saga = saga.deadline(deadline);
    }
    let input = saga.input();
    let first = saga
        .step("first", input, |_, ()| async { Ok(()) })
        .compensate_with(|_, (), _: Was<()>| async { Ok(()) });
    let go = saga.signal::<(), _>("go", first);
    let (mut saga, done) = saga.pivot("pivot", go, |_, ()| async { Ok(()) }).commit();
    saga.signal::<(), _>("end", done);
    saga.build().unwrap()
}

fn has(found: &Found, line: &str) -> bool {
    lines(found).iter().any(|other| other == line)
}

#[tokio::test(start_paused = true)]
async fn a_saga_is_cancelled_before_its_pivot_and_not_behind_it() -> Result {
    let desk = Desk::new();
    let saga = waiting(None);
    let running = desk.run(&saga);
    let early = SagaId::unique();
    desk.client.start(&saga, early, &()).await?;
    desk.until(early, |found| has(found, "began go")).await;
    desk.client.cancel(early, "olga", "by hand").await?;
    assert!(matches!(
        desk.client.wait(&saga, early).await?,
        Ended::Compensated(_)
    ));
    assert_audited(&desk.found(early).await, Kind::Turned);

    let late = SagaId::unique();
    desk.client.start(&saga, late, &()).await?;
    desk.client.signal(late, early.0, "go", &()).await?;
    desk.until(late, |found| has(found, "began end")).await;
    desk.client.cancel(late, "olga", "by hand").await?;
    let found = desk.until(late, |found| has(found, "refused ")).await;
    let refused = found.records.last().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&refused.record.data)?;
    assert_eq!(said["why"], "its pivot is done");
    assert_eq!(said["asked"]["by"], "olga");
    assert!(found.mail.is_empty());
    desk.client.signal(late, late.0, "end", &()).await?;
    assert_eq!(desk.client.wait(&saga, late).await?, Ended::Done(()));
    running.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_saga_turns_at_its_deadline_unless_it_is_committed() -> Result {
    let desk = Desk::new();
    let saga = waiting(Some(Duration::from_secs(60)));
    let running = desk.run(&saga);
    let (early, late) = (SagaId::unique(), SagaId::unique());
    for id in [early, late] {
        desk.client.start(&saga, id, &()).await?;
    }
    desk.client.signal(late, early.0, "go", &()).await?;
    let Ended::Compensated(why) = desk.client.wait(&saga, early).await? else {
        panic!("it was to turn");
    };
    assert_eq!(why.to_string(), "its deadline has passed");
    assert_eq!(desk.found(late).await.summary.stage, Stage::Running);
    desk.client.signal(late, late.0, "end", &()).await?;
    assert_eq!(desk.client.wait(&saga, late).await?, Ended::Done(()));
    running.stop().await;
    Ok(())
}

/// However long nobody knows it.
#[tokio::test(start_paused = true)]
async fn a_saga_of_an_unknown_definition_waits_for_who_knows_it() -> Result {
    let desk = Desk::new();
    let saga = waiting(None);
    let (other, _) = stubborn();
    let first = desk.run(&other);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    desk.until_it_is(id, Stage::Parked).await;
    // It is looked at more often than a saga may be loaded in vain.
    tokio::time::sleep(Duration::from_secs(20)).await;
    first.stop().await;
    let second = desk.run(&saga);
    desk.client.signal(id, id.0, "go", &()).await?;
    desk.until(id, |found| has(found, "began end")).await;
    desk.client
        .signal(id, SagaId::unique().0, "end", &())
        .await?;
    assert_eq!(desk.client.wait(&saga, id).await?, Ended::Done(()));
    second.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_saga_of_an_older_version_is_run_by_who_says_that_it_runs_it() -> Result {
    let declare = |version| {
        let mut saga = Builder::<MemorySagas, ()>::new("versions", version);
        let input = saga.input();
        let go = saga.signal::<u32, _>("go", input);
        let last = saga
            .step(
                "last",
                go,
                move |_, went: u32| async move { Ok(went + version) },
            )
            .without_undo();
        saga.returns(last).unwrap()
    };
    let (old, new) = (declare(1), declare(2));
    let hash = old.definition().hash;
    let desk = Desk::new();
    let first = desk.run(&old);
    let id = SagaId::unique();
    desk.client.start(&old, id, &()).await?;
    desk.until(id, |found| has(found, "began go")).await;
    first.stop().await;
    desk.client.signal(id, id.0, "go", &40).await?;
    let second = desk.run(&new);
    desk.until_it_is(id, Stage::Parked).await;
    second.stop().await;
    drop(new);
    let new = declare(2).also_runs(1, hash);
    let third = desk.run(&new);
    assert_eq!(desk.client.wait(&new, id).await?, Ended::Done(42));
    third.stop().await;
    Ok(())
}

/// A saga during whose action the process ends.
#[tokio::test(start_paused = true)]
async fn a_saga_that_ends_its_process_is_put_aside_and_an_operator_brings_it_back() -> Result {
    let desk = Desk::new();
    let begun = Arc::new(Notify::new());
    let is_fatal = Arc::new(Mutex::new(true));
    let (begins, fatal) = (begun.clone(), is_fatal.clone());
    let mut saga = Builder::<_, ()>::new("fatal", 1);
    let input = saga.input();
    saga.step("fatal", input, move |_, ()| {
        let (begins, is_fatal) = (begins.clone(), *fatal.lock().unwrap());
        async move {
            if is_fatal {
                begins.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    })
    .attempts(0, SOON)
    .without_undo();
    let saga = saga.build()?;
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    for _ in 0..5 {
        let running = desk.run(&saga);
        begun.notified().await;
        drop(running);
    }
    let running = desk.run(&saga);
    let found = desk.until_it_is(id, Stage::Parked).await;
    let why = String::from_utf8_lossy(found.summary.result.as_deref().unwrap()).into_owned();
    assert!(why.contains("loaded 6 times"), "{why}");
    *is_fatal.lock().unwrap() = false;
    desk.client.resume(id, "olga", "by hand").await?;
    assert_eq!(desk.client.wait(&saga, id).await?, Ended::Done(()));
    let found = desk.found(id).await;
    assert_audited(&found, Kind::Resumed);
    assert!(!has(&found, "refused "), "{:?}", lines(&found));
    running.stop().await;
    Ok(())
}

/// It is brought back to where it was: what is undone is undone on, and nothing
/// goes forward.
#[tokio::test(start_paused = true)]
async fn a_saga_that_ends_its_process_while_it_is_unwound_is_resumed_to_be_unwound() -> Result {
    let desk = Desk::new();
    let begun = Arc::new(Notify::new());
    let is_fatal = Arc::new(Mutex::new(true));
    let (begins, fatal) = (begun.clone(), is_fatal.clone());
    let mut saga = Builder::<_, ()>::new("fatal", 1);
    let input = saga.input();
    let first = saga
        .step("first", input, |_, ()| async { Ok(()) })
        .undo_attempts(0, SOON)
        .compensate_with(move |_, (), _: Was<()>| {
            let (begins, is_fatal) = (begins.clone(), *fatal.lock().unwrap());
            async move {
                if is_fatal {
                    begins.notify_one();
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        });
    saga.step("second", first, |_, ()| async {
        Err::<(), _>(Fault::failed("no"))
    })
    .without_undo();
    let saga = saga.build()?;
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    for _ in 0..6 {
        let running = desk.run(&saga);
        begun.notified().await;
        drop(running);
    }
    let running = desk.run(&saga);
    desk.until_it_is(id, Stage::Parked).await;
    *is_fatal.lock().unwrap() = false;
    desk.client.resume(id, "olga", "by hand").await?;
    let ended = desk.client.wait(&saga, id).await?;
    let Ended::Compensated(why) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(why.to_string(), "step \"second\": no");
    let found = desk.found(id).await;
    assert_audited(&found, Kind::Resumed);
    assert_eq!(lines(&found).last().unwrap(), "undone first");
    running.stop().await;
    Ok(())
}

/// A value that panics when it is read.
#[derive(Debug, serde::Serialize)]
struct Bomb;

impl<'de> serde::Deserialize<'de> for Bomb {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        panic!("it cannot be read");
    }
}

/// What panics where no action is, is not tried for ever; and costs the others
/// nothing.
#[tokio::test(start_paused = true)]
async fn a_saga_that_panics_when_it_is_loaded_is_put_aside() -> Result {
    for executes in [false, true] {
        let desk = Desk::new();
        let mut saga = Builder::<MemorySagas, ()>::new("bomb", 1);
        let input = saga.input();
        let bomb = saga
            .step("arm", input, |_, ()| async { Ok(Bomb) })
            .without_undo();
        saga.step("read", bomb, |_, _: Bomb| async { Ok(()) })
            .attempts(0, SOON)
            .without_undo();
        let saga = saga.build()?;
        let running = desk.run(&saga);
        let id = SagaId::unique();
        let (executor, executed) = (running.executor.clone(), saga.clone());
        let caller = tokio::spawn(async move {
            match executes {
                true => drop(executor.execute(&executed, id, &()).await),
                false => drop(executor.client().start(&executed, id, &()).await),
            }
        });
        let found = desk
            .until(id, |found| {
                let result = found.summary.result.as_deref().unwrap_or_default();
                String::from_utf8_lossy(result).contains("without going forward")
            })
            .await;
        assert_eq!(found.summary.stage, Stage::Parked);
        caller.abort();
        running.stop().await;
    }
    Ok(())
}

/// An action that panics, wherever it does, may have happened.
#[tokio::test(start_paused = true)]
async fn an_action_that_panics_is_in_doubt() -> Result {
    let desk = Desk::new();
    let mut saga = Builder::<MemorySagas, ()>::new("panics", 1);
    let input = saga.input();
    saga.step("at once", input, |context: Context, ()| {
        assert!(context.attempt() > 9, "before there is a future");
        async { Ok(()) }
    })
    .attempts(2, SOON)
    .without_undo();
    saga.local_step(
        "local",
        input,
        MemorySagas::local(|tx, context: &Context, ()| {
            tx.put("left", "1");
            assert!(context.attempt() > 9, "in a transaction");
            Ok(())
        }),
    )
    .attempts(2, SOON)
    .without_undo();
    let saga = saga.build()?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    assert!(matches!(
        desk.client.wait(&saga, id).await?,
        Ended::Compensated(_)
    ));
    let found = desk.found(id).await;
    let doubted = found
        .records
        .iter()
        .filter(|line| line.record.kind == Kind::Doubted);
    for line in doubted.clone() {
        assert_eq!(&line.record.data[..], b"\"the action panicked\"");
    }
    assert!(doubted.count() >= 3, "{:?}", lines(&found));
    assert_eq!(desk.store.database().read("left"), None);
    running.stop().await;
    Ok(())
}

/// A probe that says that it was done keeps the action from running, all of it.
#[tokio::test(start_paused = true)]
async fn an_action_that_a_probe_finds_done_does_not_run_again() -> Result {
    let desk = Desk::new();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let mut saga = Builder::<_, ()>::new("probed", 1);
    let input = saga.input();
    let done = saga
        .step("charge", input, move |_: Context, ()| {
            // ORDERING: Relaxed: a number of one test.
            counted.fetch_add(1, Ordering::Relaxed);
            async { Err::<u32, _>(Fault::unknown("no answer")) }
        })
        .attempts(3, SOON)
        .probe(|_, ()| async { Ok(axiomatic_coordination::saga::Probed::Done(7)) })
        .without_undo();
    let saga = saga.returns(done)?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    assert_eq!(desk.client.wait(&saga, id).await?, Ended::Done(7));
    // ORDERING: Relaxed: a number of one test.
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    running.stop().await;
    Ok(())
}

/// Mail that comes while an action runs is read once, and in its order.
#[tokio::test(start_paused = true)]
async fn letters_that_come_while_it_runs_are_read_once() -> Result {
    let desk = Desk::new();
    let gate = Arc::new((Notify::new(), Notify::new()));
    let inside = gate.clone();
    let mut saga = Builder::<_, ()>::new("mail", 1);
    let input = saga.input();
    let first = saga
        .step("first", input, move |_, ()| {
            let gate = inside.clone();
            async move {
                gate.0.notify_one();
                gate.1.notified().await;
                Ok(())
            }
        })
        .without_undo();
    let said = saga.signal::<u32, _>("said", first);
    let saga = saga.returns(said)?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    gate.0.notified().await;
    for number in 1..=3u32 {
        let letter = uuid::Uuid::from_u128(number.into());
        desk.client.signal(id, letter, "said", &number).await?;
        desk.client.signal(id, letter, "said", &number).await?;
    }
    let found = desk.until(id, |found| found.mail.is_empty()).await;
    let signalled = found
        .records
        .iter()
        .filter(|line| line.record.kind == Kind::Signalled);
    assert_eq!(signalled.count(), 3, "{:?}", lines(&found));
    gate.1.notify_one();
    assert_eq!(desk.client.wait(&saga, id).await?, Ended::Done(1));
    let found = desk.found(id).await;
    let signalled = found
        .records
        .iter()
        .filter(|line| line.record.kind == Kind::Signalled);
    assert_eq!(signalled.count(), 3, "{:?}", lines(&found));
    running.stop().await;
    Ok(())
}

/// Faults, and is called so often.
fn faulty(calls: &Arc<Mutex<u32>>) -> Fault {
    *calls.lock().unwrap() += 1;
    Fault::unknown("it broke")
}

#[tokio::test(start_paused = true)]
async fn a_pivot_that_is_resumed_is_probed_before_it_is_tried_again() -> Result {
    let desk = Desk::new();
    let calls = Arc::new(Mutex::new(0));
    let counted = calls.clone();
    let saga = Builder::<_, ()>::new("probed", 1);
    let input = saga.input();
    let pivot = saga.pivot("pivot", input, move |_, ()| {
        let fault = faulty(&counted);
        async move { Err::<u32, _>(fault) }
    });
    let pivot = pivot.attempts(1, SOON);
    let pivot = pivot.probe(|context: Context, ()| async move {
        assert!(context.attempt() > 1);
        Ok(Probed::Done(7))
    });
    let (saga, done) = pivot.commit();
    let saga = saga.returns(done)?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    desk.until_it_is(id, Stage::Stuck).await;
    desk.client.resume(id, "olga", "by hand").await?;
    assert_eq!(desk.client.wait(&saga, id).await?, Ended::Done(7));
    assert_eq!(*calls.lock().unwrap(), 1);
    running.stop().await;
    Ok(())
}

/// Also after it went forward again: its undo may have happened before.
#[tokio::test(start_paused = true)]
async fn an_undo_that_is_tried_again_knows_that_it_was_tried_before() -> Result {
    let desk = Desk::new();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let keys = Arc::new(Mutex::new(Vec::new()));
    let (seen, known) = (attempts.clone(), keys.clone());
    let mut saga = Builder::<_, ()>::new("undone", 1);
    let input = saga.input();
    let first = saga
        .step("first", input, |_, ()| async { Ok(()) })
        .undo_attempts(1, SOON)
        .compensate_with(move |context: Context, (), _: Was<()>| {
            let mut seen = seen.lock().unwrap();
            seen.push(context.attempt());
            known.lock().unwrap().push(context.key());
            let is_enough = seen.len() == 3;
            async move {
                match is_enough {
                    true => Ok(()),
                    false => Err(Fault::unknown("it broke")),
                }
            }
        });
    saga.step("second", first, |_, ()| async {
        Err::<(), _>(Fault::failed("no"))
    })
    .without_undo();
    let saga = saga.build()?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    let stuck = |times| {
        move |found: &Found| {
            let lines = lines(found);
            lines.iter().filter(|line| *line == "stuck first").count() == times
        }
    };
    desk.until(id, stuck(1)).await;
    desk.client
        .retry_undo(id, "first", "olga", "by hand")
        .await?;
    desk.until(id, stuck(2)).await;
    desk.client.resume(id, "olga", "by hand").await?;
    assert!(matches!(
        desk.client.wait(&saga, id).await?,
        Ended::Compensated(_)
    ));
    assert_eq!(*attempts.lock().unwrap(), [1, 2, 3]);
    let keys = keys.lock().unwrap().clone();
    assert!(keys.iter().all(|key| *key == keys[0]));
    running.stop().await;
    Ok(())
}

/// JSON has no such keys.
type Unwritable = HashMap<(u8, u8), u8>;

fn unwritable() -> Unwritable {
    HashMap::from([((1, 2), 3)])
}

#[tokio::test(start_paused = true)]
async fn what_happened_and_cannot_be_written_is_in_doubt() -> Result {
    let desk = Desk::new();
    let undone = Arc::new(Mutex::new(Vec::new()));
    let told = undone.clone();
    let mut saga = Builder::<_, ()>::new("unwritable", 1);
    let input = saga.input();
    saga.step("step", input, |_, ()| async { Ok(unwritable()) })
        .attempts(1, SOON)
        .compensate_with(move |_, (), was: Was<Unwritable>| {
            told.lock().unwrap().push(was);
            async { Ok(()) }
        });
    let saga = saga.build()?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    assert!(matches!(
        desk.client.wait(&saga, id).await?,
        Ended::Compensated(_)
    ));
    assert_eq!(*undone.lock().unwrap(), [Was::InDoubt]);
    running.stop().await;

    // There is no way back from it: an operator decides.
    let saga = Builder::<_, ()>::new("unwritable pivot", 1);
    let input = saga.input();
    let pivot = saga.pivot("pivot", input, |_, ()| async { Ok(unwritable()) });
    let pivot = pivot.attempts(1, SOON);
    let (saga, _) = pivot
        .probe(|_, ()| async { Ok(Probed::Done(unwritable())) })
        .commit();
    let saga = saga.build()?;
    let running = desk.run(&saga);
    let id = SagaId::unique();
    desk.client.start(&saga, id, &()).await?;
    desk.until_it_is(id, Stage::Stuck).await;
    desk.client.resume(id, "olga", "by hand").await?;
    // What its probe found can be written as little.
    let is_stuck = |line: &String| line == "stuck pivot";
    let found = desk
        .until(id, |found| {
            lines(found).into_iter().filter(is_stuck).count() == 2
        })
        .await;
    assert!(!has(&found, "failed pivot"));
    running.stop().await;
    Ok(())
}

/// Waits for a signal; the result is the version.
fn versioned(version: u32) -> Saga<MemorySagas, (), u32> {
    let mut saga = Builder::new("versioned", version);
    let input = saga.input();
    let go = saga.signal::<(), _>("go", input);
    let name = format!("in version {version}");
    let which = saga
        .step(&name, go, move |_, ()| async move { Ok(version) })
        .without_undo();
    saga.returns(which).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sagas_of_two_versions_are_run_each_by_its_own() -> Result {
    for newest_last in [true, false] {
        let desk = Desk::new();
        let first = versioned(1);
        let running = desk.run(&first);
        let old = SagaId::unique();
        desk.client.start(&first, old, &()).await?;
        desk.until(old, |found| has(found, "began go")).await;
        running.stop().await;

        // It would run it, too, but is not asked to.
        let own = first.definition();
        let second = versioned(2).also_runs(own.version, own.hash);
        let plans = match newest_last {
            true => Plans::new().with(&first).with(&second),
            false => Plans::new().with(&second).with(&first),
        };
        let config = Config::new().park(Duration::from_secs(1));
        let running = run(&desk.store, plans, config);
        let new = SagaId::unique();
        desk.client.start(&second, new, &()).await?;
        for id in [old, new] {
            desk.client.signal(id, id.0, "go", &()).await?;
        }
        assert_eq!(desk.client.wait(&first, old).await?, Ended::Done(1));
        assert_eq!(desk.client.wait(&second, new).await?, Ended::Done(2));
        running.stop().await;
    }
    Ok(())
}
