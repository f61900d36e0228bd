//! Executors over a database in memory. One file, because each test shows one
//! promise of the page over the same few helpers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{
    Builder, Client, Config, Context, Ended, Executor, Fault, MemorySagas, Plans, Probed, Saga,
    SagaId, Stage, StepKey, Was,
};
use axiomatic_core::backoff::Backoff;
use tokio::sync::oneshot;

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// What actions and undos have done elsewhere, in their order.
#[derive(Clone, Debug, Default)]
struct Elsewhere(Arc<Mutex<Vec<String>>>);

impl Elsewhere {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn noted(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// An executor that runs until this is dropped or stopped.
struct Running {
    executor: Executor<MemorySagas>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        let _ = self.stop.send(());
        self.ended.await.expect("no panic");
    }
}

fn run(store: &MemorySagas, plans: Plans<MemorySagas>) -> Running {
    let config = Config::new()
        .lease(Duration::from_millis(300))
        .poll(Duration::from_millis(20));
    let executor = Executor::new(store.clone(), plans, config).expect("a config");
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

/// Reserve, charge, ship: the last one is the pivot.
fn purchase(elsewhere: &Elsewhere, fails: Option<&'static str>) -> Saga<MemorySagas, u32, String> {
    let action = |name: &'static str| {
        let elsewhere = elsewhere.clone();
        move |_: Context, amount: u32| {
            let elsewhere = elsewhere.clone();
            async move {
                if fails == Some(name) {
                    return Err(Fault::failed(format!("no {name}")));
                }
                elsewhere.note(format!("{name} {amount}"));
                Ok(amount)
            }
        }
    };
    let undo = |name: &'static str| {
        let elsewhere = elsewhere.clone();
        move |_: Context, amount: u32, was: Was<u32>| {
            let elsewhere = elsewhere.clone();
            async move {
                elsewhere.note(format!("undo {name} {amount} {was:?}"));
                Ok(())
            }
        }
    };
    let mut saga = Builder::new("purchase", 1);
    let order = saga.input();
    let reserved = saga
        .step("reserve", order, action("reserve"))
        .compensate_with(undo("reserve"));
    let charged = saga
        .step("charge", reserved, action("charge"))
        .compensate_with(undo("charge"));
    let (mut saga, shipped) = saga.pivot("ship", charged, action("ship")).commit();
    let told = saga
        .step("tell", shipped, |_: Context, amount: u32| async move {
            Ok(format!("{amount} shipped"))
        })
        .retriable();
    saga.returns(told).expect("a definition")
}

#[tokio::test]
async fn a_saga_all_of_whose_steps_are_done_has_a_result() -> Result {
    let store = MemorySagas::new(&Memory::new());
    let elsewhere = Elsewhere::default();
    let saga = purchase(&elsewhere, None);
    let running = run(&store, Plans::new().with(&saga));
    for _ in 0..3 {
        let ended = running
            .executor
            .execute(&saga, SagaId::unique(), &7)
            .await?;
        assert_eq!(ended, Ended::Done("7 shipped".into()));
    }
    assert_eq!(elsewhere.noted()[..3], ["reserve 7", "charge 7", "ship 7"]);
    assert_eq!(elsewhere.noted().len(), 9);
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_was_done_is_undone_in_reverse_if_a_step_fails() -> Result {
    for (fails, expected) in [
        ("reserve", vec![]),
        ("charge", vec!["reserve 7", "undo reserve 7 Done(7)"]),
        (
            "ship",
            vec![
                "reserve 7",
                "charge 7",
                "undo charge 7 Done(7)",
                "undo reserve 7 Done(7)",
            ],
        ),
    ] {
        let store = MemorySagas::new(&Memory::new());
        let elsewhere = Elsewhere::default();
        let saga = purchase(&elsewhere, Some(fails));
        let running = run(&store, Plans::new().with(&saga));
        let ended = running
            .executor
            .execute(&saga, SagaId::unique(), &7)
            .await?;
        let Ended::Compensated(why) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(why.step(), Some(fails));
        assert_eq!(why.to_string(), format!("step {fails:?}: no {fails}"));
        assert_eq!(elsewhere.noted(), expected);
        running.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_saga_begun_by_a_client_is_run_by_whoever_has_its_bucket() -> Result {
    let store = MemorySagas::new(&Memory::new());
    let elsewhere = Elsewhere::default();
    let saga = purchase(&elsewhere, None);
    let client = Client::new(store.clone());
    let id = SagaId::unique();
    client.start(&saga, id, &9).await?;
    client.start(&saga, id, &9).await?;
    let running = run(&store, Plans::new().with(&saga));
    let ended = client.wait(&saga, id).await?;
    assert_eq!(ended, Ended::Done("9 shipped".into()));
    assert_eq!(elsewhere.noted().len(), 3);
    running.stop().await;
    Ok(())
}

/// What is in doubt is probed, tried again with the same key, and undone.
#[tokio::test]
async fn what_is_in_doubt_is_tried_again_with_the_same_key_and_undone_at_last() -> Result {
    let store = MemorySagas::new(&Memory::new());
    let elsewhere = Elsewhere::default();
    let mut saga = Builder::<_, u32>::new("doubtful", 1);
    let order = saga.input();
    let (doing, undoing) = (elsewhere.clone(), elsewhere.clone());
    saga.step("charge", order, move |context: Context, _: u32| {
        doing.note(format!("{} {}", context.attempt(), context.key()));
        async { Err::<u32, _>(Fault::unknown("no answer")) }
    })
    .attempts(3, Backoff::constant(Duration::from_millis(1)))
    .probe(|_, _| async { Ok(Probed::Not) })
    .compensate_with(move |context: Context, _, was| {
        undoing.note(format!("{was:?} {}", context.action_key()));
        async { Ok(()) }
    });
    let saga = saga.build()?;
    let running = run(&store, Plans::new().with(&saga));
    let ended = running
        .executor
        .execute(&saga, SagaId::unique(), &1)
        .await?;
    let Ended::Compensated(why) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(
        why.to_string(),
        "step \"charge\": it was tried 3 times, the last: no answer"
    );
    let noted = elsewhere.noted();
    let key = noted[0].split(' ').nth(1).unwrap();
    let expected = [
        format!("1 {key}"),
        format!("2 {key}"),
        format!("3 {key}"),
        format!("InDoubt {key}"),
    ];
    assert_eq!(noted, expected);
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn steps_that_do_not_depend_on_each_other_run_at_once() -> Result {
    let store = MemorySagas::new(&Memory::new());
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let mut saga = Builder::<_, ()>::new("wide", 1);
    let begun = saga.input();
    let mut handles = Vec::new();
    for name in ["a", "b", "c"] {
        let barrier = barrier.clone();
        let step = saga.step(name, begun, move |_, ()| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                Ok(name.to_owned())
            }
        });
        handles.push(step.without_undo());
    }
    let inputs = (handles[0], handles[1], handles[2]);
    let joined = saga
        .step(
            "join",
            inputs,
            |_, (a, b, c): (String, String, String)| async move { Ok(a + &b + &c) },
        )
        .without_undo();
    let saga = saga.returns(joined)?;
    let running = run(&store, Plans::new().with(&saga));
    let ended = running
        .executor
        .execute(&saga, SagaId::unique(), &())
        .await?;
    assert_eq!(ended, Ended::Done("abc".into()));
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn each_item_of_a_list_has_an_action_and_an_undo_of_its_own() -> Result {
    let store = MemorySagas::new(&Memory::new());
    let elsewhere = Elsewhere::default();
    let keys = Arc::new(Mutex::new(std::collections::HashSet::<StepKey>::new()));
    let mut saga = Builder::<_, Vec<u32>>::new("fan", 1);
    let list = saga.input();
    let (seen, undone) = (keys.clone(), elsewhere.clone());
    let ships = saga
        .for_each(
            "ship",
            list,
            2,
            (),
            move |context: Context, (item, ()): (u32, ())| {
                seen.lock().unwrap().insert(context.key());
                async move { Ok(item * 10) }
            },
        )
        .compensate_with(move |context: Context, (item, ()), was| {
            undone.note(format!("{} {item} {was:?}", context.item()));
            async { Ok(()) }
        });
    saga.step("last", ships, |_, all: Vec<u32>| async move {
        assert_eq!(all, [10, 20, 30, 40, 50]);
        Err::<(), _>(Fault::failed("no"))
    })
    .without_undo();
    let saga = saga.build()?;
    let running = run(&store, Plans::new().with(&saga));
    let list = vec![1, 2, 3, 4, 5];
    let execute = running.executor.execute(&saga, SagaId::unique(), &list);
    assert!(matches!(execute.await?, Ended::Compensated(_)));
    assert_eq!(keys.lock().unwrap().len(), 5);
    let mut noted = elsewhere.noted();
    noted.sort();
    assert_eq!(noted[4], "4 5 Done(50)");
    assert_eq!(noted.len(), 5);
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_signal_is_waited_for_and_a_cancelled_saga_is_unwound() -> Result {
    for cancels in [false, true] {
        let store = MemorySagas::new(&Memory::new());
        let elsewhere = Elsewhere::default();
        let undone = elsewhere.clone();
        let mut saga = Builder::<_, ()>::new("approval", 1);
        let begun = saga.input();
        let asked = saga
            .step("ask", begun, |_, ()| async { Ok(()) })
            .compensate_with(move |_, (), _| {
                undone.note("taken back");
                async { Ok(()) }
            });
        let approved = saga.signal::<String, _>("approved", asked);
        let slept = saga.sleep("cool off", approved.only_after(), Duration::from_millis(30));
        let by = saga
            .step(
                "by",
                (approved, slept),
                |_, (by, ()): (String, ())| async move { Ok(by) },
            )
            .without_undo();
        let saga = saga.returns(by)?;
        let running = run(&store, Plans::new().with(&saga));
        let client = running.executor.client();
        let id = SagaId::unique();
        client.start(&saga, id, &()).await?;
        let is_waiting = || async {
            let found = client.find(id).await.unwrap().unwrap();
            found
                .records
                .iter()
                .any(|line| &*line.record.step == "approved")
        };
        while !is_waiting().await {
            tokio::task::yield_now().await;
        }
        if cancels {
            client.cancel(id, "me", "changed my mind").await?;
            assert!(matches!(
                client.wait(&saga, id).await?,
                Ended::Compensated(_)
            ));
            assert_eq!(elsewhere.noted(), ["taken back"]);
        } else {
            let signal = uuid::Uuid::now_v7();
            client.signal(id, signal, "approved", &"the boss").await?;
            assert_eq!(
                client.wait(&saga, id).await?,
                Ended::Done("the boss".into())
            );
        }
        running.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_local_step_commits_with_the_log_and_ends_the_saga_with_it() -> Result {
    let memory = Memory::new();
    let store = MemorySagas::new(&memory);
    let mut saga = Builder::<MemorySagas, String>::new("local", 1);
    let name = saga.input();
    let put = saga
        .local_step(
            "put",
            name,
            MemorySagas::local(|tx, _: &Context, name: String| {
                tx.put(name.as_str(), "there");
                Ok(name.len())
            }),
        )
        .compensate_with_local(MemorySagas::local(
            |tx, _: &Context, (name, _): (String, Was<usize>)| {
                tx.put(name.as_str(), "gone");
                Ok(())
            },
        ));
    let checked = saga
        .local_step(
            "check",
            put,
            MemorySagas::local(|_, _: &Context, length: usize| match length {
                5 => Ok(length),
                _ => Err(Fault::failed("too short")),
            }),
        )
        .without_undo();
    let saga = saga.returns(checked)?;
    let running = run(&store, Plans::new().with(&saga));
    let long = running
        .executor
        .execute(&saga, SagaId::unique(), &"seven".into())
        .await?;
    assert_eq!(long, Ended::Done(5));
    assert_eq!(memory.read("seven").as_deref(), Some(&b"there"[..]));
    let short = running
        .executor
        .execute(&saga, SagaId::unique(), &"six".into())
        .await?;
    assert!(matches!(short, Ended::Compensated(_)));
    assert_eq!(memory.read("six").as_deref(), Some(&b"gone"[..]));
    let counts = running.executor.client().count().await?;
    assert!(counts.contains(&(Stage::Done, 1)) && counts.contains(&(Stage::Compensated, 1)));
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_saga_that_has_ended_is_kept_for_its_retention_and_then_swept() -> Result {
    let store = MemorySagas::new(&Memory::new());
    let saga = purchase(&Elsewhere::default(), None);
    for retention in [Duration::from_secs(3600), Duration::ZERO] {
        let config = Config::new()
            .lease(Duration::from_millis(60))
            .retention(retention);
        let plans = Plans::new().with(&saga);
        let executor = Executor::new(store.clone(), plans, config)?;
        let client = executor.client();
        let working = async {
            while executor.snapshot().buckets < 64 {
                tokio::task::yield_now().await;
            }
            let id = SagaId::unique();
            let ended = executor.execute(&saga, id, &1).await?;
            assert!(matches!(ended, Ended::Done(_)));
            if retention.is_zero() {
                while client.find(id).await?.is_some() {
                    tokio::task::yield_now().await;
                }
            } else {
                assert!(client.find(id).await?.is_some());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        };
        tokio::select! {
            worked = working => worked?,
            ended = executor.run(std::future::pending()) => ended?,
        }
    }
    Ok(())
}
