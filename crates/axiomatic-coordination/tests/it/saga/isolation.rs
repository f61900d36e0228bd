//! What keeps sagas out of each other's way. One file, because the tests share
//! a scene of sagas that lock, come in and go out.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{
    Builder, Busy, Client, Config, Context, Delta, Ended, Fault, Lock, MemorySagas, Plans, Saga,
    SagaId, Stage, Versioned, Was,
};
use tokio::sync::Semaphore;

use super::services::{Running, assert_legal, run};

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// What a saga locks, and whether it turns.
type Input = (Vec<String>, bool);

/// A place that sagas enter, each with one permit to go on.
#[derive(Default)]
struct Room {
    inside: AtomicU32,
    most: AtomicU32,
    /// Who came in and went out, in that order.
    seen: Mutex<Vec<String>>,
}

impl Room {
    fn enter(&self, who: &str) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.seen.lock().unwrap().push(format!("{who} in"));
    }

    fn leave(&self, who: &str) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push(format!("{who} out"));
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

struct Scene {
    store: MemorySagas,
    client: Client<MemorySagas>,
    room: Arc<Room>,
    gate: Arc<Semaphore>,
    saga: Saga<MemorySagas, Input, ()>,
}

/// Sagas that lock, come in, pass a gate, and then go out, or turn and go out
/// when what they did is undone.
fn scene(busy: Busy) -> Scene {
    let room = Arc::<Room>::default();
    let gate = Arc::new(Semaphore::new(0));
    let mut saga = Builder::<MemorySagas, Input>::new("visit", 1);
    let input = saga.input();
    let locked = saga.lock("room", input, busy, |(resources, _): Input| {
        resources.into_iter().map(Lock::exclusive).collect()
    });
    let (inside, passing) = (Arc::clone(&room), Arc::clone(&gate));
    let outside = Arc::clone(&room);
    let come_in = move |context: Context, ((resources, _), ()): (Input, ())| {
        let (inside, passing) = (Arc::clone(&inside), Arc::clone(&passing));
        async move {
            if context.attempt() == 1 {
                inside.enter(&resources.concat());
            }
            passing.acquire().await.expect("it is open").forget();
            Ok(())
        }
    };
    let undo = move |_: Context, ((resources, _), ()): (Input, ()), _: Was<()>| {
        let outside = Arc::clone(&outside);
        async move {
            outside.leave(&format!("{} undone,", resources.concat()));
            Ok(())
        }
    };
    let came_in = saga
        .step("come in", (input, locked), come_in)
        .compensate_with(undo);
    let outside = Arc::clone(&room);
    let go_out = move |_: Context, ((resources, turns), ()): (Input, ())| {
        let outside = Arc::clone(&outside);
        async move {
            if turns {
                return Err(Fault::failed("it turns"));
            }
            outside.leave(&resources.concat());
            Ok(())
        }
    };
    let (saga, _) = saga.pivot("go out", (input, came_in), go_out).commit();
    let saga = saga.build().expect("a definition");
    let store = MemorySagas::new(&Memory::new());
    Scene {
        client: Client::new(store.clone()),
        store,
        room,
        gate,
        saga,
    }
}

impl Scene {
    fn run(&self) -> Running {
        let config = Config::new()
            .lease(Duration::from_millis(300))
            .poll(Duration::from_millis(10));
        run(&self.store, Plans::new().with(&self.saga), config)
    }

    async fn start(&self, resources: &[&str], turns: bool) -> Result<SagaId> {
        let saga = SagaId::unique();
        let resources = resources.iter().map(|name| String::from(*name)).collect();
        self.client
            .start(&self.saga, saga, &(resources, turns))
            .await?;
        Ok(saga)
    }

    /// Returns when so many stand in a line.
    async fn until_in_line(&self, resource: &str, count: usize) -> Result {
        while self.client.line(resource).await?.len() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    async fn wait(&self, saga: SagaId) -> Result<Ended<()>> {
        let ended = self.client.wait(&self.saga, saga).await?;
        assert_legal(&self.client.find(saga).await?.expect("it is kept"));
        Ok(ended)
    }
}

fn why(ended: Ended<()>) -> String {
    match ended {
        Ended::Compensated(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sagas_that_lock_the_same_come_one_after_the_other() -> Result {
    let scene = scene(Busy::Stash);
    let running = [scene.run(), scene.run()];
    scene.gate.add_permits(30);
    let mut sagas = Vec::new();
    for number in 0..30 {
        sagas.push((scene.start(&["a"], number % 3 == 0).await?, number % 3 != 0));
    }
    for (saga, is_done) in sagas {
        assert_eq!(scene.wait(saga).await? == Ended::Done(()), is_done);
    }
    assert_eq!(scene.room.most.load(Ordering::SeqCst), 1);
    assert_eq!(scene.room.seen().len(), 60);
    assert_eq!(scene.client.line("a").await?, []);
    for running in running {
        running.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn sagas_that_lock_different_things_do_not_wait_for_each_other() -> Result {
    let scene = scene(Busy::Stash);
    let running = scene.run();
    let one = scene.start(&["a"], false).await?;
    let two = scene.start(&["b"], false).await?;
    while scene.room.most.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    scene.gate.add_permits(2);
    for saga in [one, two] {
        assert_eq!(scene.wait(saga).await?, Ended::Done(()));
    }
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_saga_that_does_not_wait_turns_if_another_has_what_it_asks_for() -> Result {
    let scene = scene(Busy::Fail);
    let running = scene.run();
    let first = scene.start(&["a"], false).await?;
    scene.until_in_line("a", 1).await?;
    let second = scene.start(&["a", "b"], false).await?;
    assert_eq!(
        why(scene.wait(second).await?),
        r#"step "room/ask": another saga has what it asks for"#
    );
    assert_eq!(scene.client.line("b").await?, []);
    scene.gate.add_permits(2);
    assert_eq!(scene.wait(first).await?, Ended::Done(()));
    let third = scene.start(&["a", "b"], false).await?;
    assert_eq!(scene.wait(third).await?, Ended::Done(()));
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_saga_that_has_waited_too_long_turns_and_leaves_the_line() -> Result {
    let scene = scene(Busy::Wait(Duration::from_millis(50)));
    let running = scene.run();
    let first = scene.start(&["a"], false).await?;
    scene.until_in_line("a", 1).await?;
    let second = scene.start(&["a"], false).await?;
    let turned = why(scene.wait(second).await?);
    assert_eq!(turned, r#"step "room": no signal came in time"#);
    assert_eq!(scene.client.line("a").await?.len(), 1);
    scene.gate.add_permits(1);
    assert_eq!(scene.wait(first).await?, Ended::Done(()));
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_saga_that_is_put_aside_is_not_in_memory_and_goes_on_when_its_turn_has_come() -> Result {
    let scene = scene(Busy::Stash);
    let running = scene.run();
    let first = scene.start(&["a"], false).await?;
    scene.until_in_line("a", 1).await?;
    let mut behind = Vec::new();
    for count in 2..5 {
        behind.push(scene.start(&["a"], false).await?);
        scene.until_in_line("a", count).await?;
    }
    while running.executor.snapshot().in_memory > 1 {
        tokio::task::yield_now().await;
    }
    let stage =
        |found: Option<axiomatic_coordination::saga::Found>| found.map(|found| found.summary.stage);
    for saga in &behind {
        assert_eq!(stage(scene.client.find(*saga).await?), Some(Stage::Running));
    }
    scene.gate.add_permits(4);
    assert_eq!(scene.wait(first).await?, Ended::Done(()));
    for saga in behind {
        assert_eq!(scene.wait(saga).await?, Ended::Done(()));
    }
    assert_eq!(scene.room.most.load(Ordering::SeqCst), 1);
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn locks_are_kept_until_what_was_done_is_undone() -> Result {
    let scene = scene(Busy::Stash);
    let running = scene.run();
    let turns = scene.start(&["a", "1"], true).await?;
    scene.until_in_line("a", 1).await?;
    let next = scene.start(&["a", "2"], false).await?;
    scene.until_in_line("a", 2).await?;
    scene.gate.add_permits(2);
    assert_eq!(why(scene.wait(turns).await?), r#"step "go out": it turns"#);
    assert_eq!(scene.wait(next).await?, Ended::Done(()));
    let expected = ["a1 in", "a1 undone, out", "a2 in", "a2 out"];
    assert_eq!(scene.room.seen(), expected);
    running.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_saga_that_is_taken_over_has_its_locks_still() -> Result {
    let scene = scene(Busy::Stash);
    let running = scene.run();
    let first = scene.start(&["a"], false).await?;
    scene.until_in_line("a", 1).await?;
    let second = scene.start(&["a"], false).await?;
    scene.until_in_line("a", 2).await?;
    // It dies, and another comes.
    drop(running);
    let running = scene.run();
    scene.gate.add_permits(2);
    for saga in [first, second] {
        assert_eq!(scene.wait(saga).await?, Ended::Done(()));
    }
    assert_eq!(scene.room.most.load(Ordering::SeqCst), 1);
    running.stop().await;
    Ok(())
}

/// Each locks one thing, and when both have, each asks for the other's.
#[tokio::test]
async fn no_two_sagas_wait_for_each_other() -> Result {
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let mut saga = Builder::<MemorySagas, (String, String)>::new("crossing", 1);
    let input = saga.input();
    let first = saga.lock("first", input, Busy::Stash, |(first, _)| {
        vec![Lock::exclusive(first)]
    });
    let met = saga
        .step("meet", first, move |_: Context, ()| {
            let both = Arc::clone(&both);
            async move {
                both.wait().await;
                Ok(())
            }
        })
        .without_undo();
    saga.lock("second", (input, met), Busy::Stash, |((_, second), ())| {
        vec![Lock::exclusive(second)]
    });
    let saga = saga.build()?;
    let store = MemorySagas::new(&Memory::new());
    let config = Config::new().poll(Duration::from_millis(10));
    let running = run(&store, Plans::new().with(&saga), config);
    let client = Client::new(store);
    let mut ends = Vec::new();
    for (first, second) in [("a", "b"), ("b", "a")] {
        let id = SagaId::unique();
        client
            .start(&saga, id, &(first.into(), second.into()))
            .await?;
        ends.push(id);
    }
    let mut turned = 0;
    for id in ends {
        turned += u32::from(client.wait(&saga, id).await? != Ended::Done(()));
    }
    // The first that asked had to turn; the other may have come after its end.
    assert!((1..=2).contains(&turned), "{turned}");
    for resource in ["a", "b"] {
        assert_eq!(client.line(resource).await?, []);
    }
    running.stop().await;
    Ok(())
}

/// A row as an application has it: a balance, and a version that each change
/// counts up.
fn account(memory: &Memory) -> Versioned<i64> {
    let row = memory.read("account").expect("it is there");
    serde_json::from_slice(&row).expect("a row")
}

fn set(memory: &Memory, value: i64) {
    let version = memory
        .read("account")
        .map_or(0, |_| account(memory).version + 1);
    let row = serde_json::to_vec(&Versioned { value, version }).expect("JSON");
    let put = memory.transact(|tx| {
        tx.put("account", row);
        Ok::<_, std::convert::Infallible>(())
    });
    put.expect("it works");
}

#[tokio::test]
async fn a_value_that_was_changed_since_it_was_read_has_the_saga_turn() -> Result {
    let memory = Memory::new();
    set(&memory, 100);
    let (reached, goes_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut saga = Builder::<MemorySagas, i64>::new("set", 1);
    let input = saga.input();
    let read = saga
        .local_step(
            "read",
            (),
            MemorySagas::local(|tx, _, ()| {
                let row = tx.read("account").expect("it is there");
                let row: Versioned<i64> = serde_json::from_slice(&row).expect("a row");
                Ok(row)
            }),
        )
        .without_undo();
    let (arrived, go_on) = (Arc::clone(&reached), Arc::clone(&goes_on));
    let thought = saga
        .step("think", read.only_after(), move |_: Context, ()| {
            let (arrived, go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
            async move {
                arrived.add_permits(1);
                go_on.acquire().await.expect("it is open").forget();
                Ok(())
            }
        })
        .without_undo();
    let (saga, written) = saga
        .local_pivot(
            "write",
            (input, read, thought),
            MemorySagas::local(|tx, _, (by, read, ()): (i64, Versioned<i64>, ())| {
                let row = tx.read("account").expect("it is there");
                let now: Versioned<i64> = serde_json::from_slice(&row).expect("a row");
                let value = read.still(now.version)? + by;
                let version = now.version + 1;
                tx.put(
                    "account",
                    serde_json::to_vec(&Versioned { value, version }).expect("JSON"),
                );
                Ok(value)
            }),
        )
        .commit();
    let saga = saga.returns(written)?;
    let store = MemorySagas::new(&memory);
    let config = Config::new().poll(Duration::from_millis(10));
    let running = run(&store, Plans::new().with(&saga), config);
    let client = Client::new(store);
    for changes in [false, true] {
        let id = SagaId::unique();
        client.start(&saga, id, &5).await?;
        reached.acquire().await?.forget();
        let before = account(&memory);
        if changes {
            set(&memory, 1);
        }
        goes_on.add_permits(1);
        let ended = client.wait(&saga, id).await?;
        match changes {
            false => {
                assert_eq!(ended, Ended::Done(105));
                assert_eq!(account(&memory).version, before.version + 1);
            }
            true => {
                let Ended::Compensated(why) = ended else {
                    panic!("{ended:?}")
                };
                assert_eq!(
                    why.to_string(),
                    r#"step "write": read as version 1, and is version 2 now"#
                );
                assert_eq!(account(&memory).value, 1, "what another wrote stands");
            }
        }
    }
    running.stop().await;
    Ok(())
}

/// Sagas that turn come between sagas that do not, without locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deltas_come_to_the_same_in_whatever_order_they_are_done_and_undone() -> Result {
    let memory = Memory::new();
    set(&memory, 1000);
    let mut saga = Builder::<MemorySagas, (i64, bool)>::new("book", 1);
    let input = saga.input();
    type Book = fn(i64, Delta) -> std::result::Result<i64, Fault>;
    let books = |book: Book| {
        move |tx: &mut axiomatic_coordination::MemoryTransaction<'_>, by: i64| {
            let row = tx.read("account").expect("it is there");
            let row: Versioned<i64> = serde_json::from_slice(&row).expect("a row");
            let (value, version) = (book(row.value, Delta::of(by))?, row.version + 1);
            tx.put(
                "account",
                serde_json::to_vec(&Versioned { value, version }).expect("JSON"),
            );
            Ok(())
        }
    };
    let does = books(|number, delta| delta.apply(number, 0..=i64::MAX));
    let undoes = books(|number, delta| delta.undo(number));
    let booked = saga
        .local_step(
            "book",
            input,
            MemorySagas::local(move |tx, _, (by, _)| does(tx, by)),
        )
        .compensate_with_local(MemorySagas::local(
            move |tx, _, ((by, _), _): ((i64, bool), Was<()>)| undoes(tx, by),
        ));
    let (saga, _) = saga
        .pivot(
            "decide",
            (input, booked),
            |_: Context, ((_, turns), ()): ((i64, bool), ())| async move {
                tokio::task::yield_now().await;
                match turns {
                    true => Err(Fault::failed("it turns")),
                    false => Ok(()),
                }
            },
        )
        .commit();
    let saga = saga.build()?;
    let store = MemorySagas::new(&memory);
    let config = Config::new().poll(Duration::from_millis(10));
    let running = run(&store, Plans::new().with(&saga), config);
    let client = Client::new(store);
    let mut ends = Vec::new();
    for number in 0..60_i64 {
        let (by, turns) = (number * 7 % 41 - 20, number % 3 == 0);
        let id = SagaId::unique();
        client.start(&saga, id, &(by, turns)).await?;
        ends.push((id, by, turns));
    }
    let mut expected = 1000;
    for (id, by, turns) in ends {
        assert_eq!(client.wait(&saga, id).await? != Ended::Done(()), turns);
        expected += if turns { 0 } else { by };
    }
    assert_eq!(account(&memory).value, expected);
    running.stop().await;
    Ok(())
}
