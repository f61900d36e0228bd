//! A database that crashes at every step of every operation: it was done or
//! not, and asked again it is as if it had been asked once. One file, because
//! it is a table of operations and what is asked of each.

use std::time::Duration;

use axiomatic_coordination::outbox::Bucket;
use axiomatic_coordination::saga::{
    Append, Appended, Change, Definition, Departing, ExecutorId, Fault, Found, InLine, Kind, Lease,
    Loaded, Lock, LockRequest, Locked, Mail, MemorySagas, MemoryWork, Posted, Record, SagaId,
    Stage, Start, Started, Store, Subject, Swept, Wake, Worked,
};
use axiomatic_coordination::{Memory, StoreError};
use axiomatic_core::time::{Clock, ManualClock};
use bytes::Bytes;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(3600);

/// A database in which there is one saga of each state, and an executor that
/// holds all buckets but the last.
struct Scene {
    database: Memory,
    store: MemorySagas,
    clock: ManualClock,
    executor: ExecutorId,
    leases: Vec<Lease>,
    held: SagaId,
    waits: SagaId,
    ended: SagaId,
    letter: Mail,
}

/// All that can be seen of it.
#[derive(Debug, PartialEq)]
struct Seen {
    sagas: Vec<Option<Found>>,
    loaded: Vec<Option<Loaded>>,
    counts: [u64; 7],
    effects: usize,
    lines: Vec<Vec<InLine>>,
    held: Vec<Bucket>,
    here: usize,
    /// What is due, for whoever has the leases at the end.
    due: Vec<SagaId>,
}

fn id(number: u128) -> SagaId {
    SagaId(Uuid::from_u128(number))
}

fn record(kind: Kind) -> Record {
    Record {
        kind,
        step: "book".into(),
        item: 0,
        attempt: 1,
        data: Bytes::new(),
        mail: None,
    }
}

fn change(records: Vec<Record>, stage: Stage) -> Change {
    Change {
        records,
        stage,
        wake: Wake::Held,
        result: None,
        progress: true,
    }
}

fn start(saga: SagaId, held: Option<(Lease, Change)>) -> Start {
    Start {
        saga,
        definition: Definition {
            name: "transfer".into(),
            version: 1,
            hash: 7,
        },
        input: Bytes::from_static(b"{}"),
        deadline: None,
        held,
    }
}

fn lock(saga: SagaId, name: &str, resource: &str) -> LockRequest {
    LockRequest {
        saga,
        name: name.into(),
        locks: vec![Lock::exclusive(resource)],
        waits: true,
    }
}

impl Scene {
    async fn new() -> Scene {
        let clock = ManualClock::new();
        let database = Memory::with_clock(Clock::Manual(clock.clone()));
        let store = MemorySagas::new(&database);
        let executor = ExecutorId::from_stored("host/1");
        store.attend(&executor, LONG).await.unwrap();
        let wanted: Vec<_> = (0..63).map(Bucket).collect();
        let leases = store.claim(&executor, &wanted, LONG).await.unwrap();
        let mut free = (1..).map(id).filter(|saga| saga.bucket().0 < 63);
        let mut next = || free.next().expect("there is no last");
        let letter = Mail {
            id: Uuid::from_u128(77),
            subject: Subject::Signal,
            name: "paid".into(),
            data: Bytes::new(),
        };
        let mut scene = Scene {
            database,
            store,
            clock,
            executor,
            leases,
            held: next(),
            waits: next(),
            ended: next(),
            letter,
        };
        for (saga, stage) in [(scene.held, Stage::Running), (scene.ended, Stage::Done)] {
            let change = change(vec![record(Kind::Began)], stage);
            let held = Some((scene.lease(saga), change));
            let started = scene.store.start(&start(saga, held)).await;
            assert_eq!(started.unwrap(), Started::Held);
        }
        let started = scene.store.start(&start(scene.waits, None)).await;
        assert_eq!(started.unwrap(), Started::Waits);
        let mut older = scene.letter.clone();
        older.id = Uuid::from_u128(76);
        let posted = scene.store.post(scene.held, &older).await;
        assert_eq!(posted.unwrap(), Posted::Accepted);
        scene.letter.name = "paid more".into();
        for (saga, expected) in [(scene.held, Locked::Held), (scene.waits, Locked::Waits)] {
            let request = lock(saga, "lock", "a");
            let locked = scene.store.lock(&scene.lease(saga), &request).await;
            assert_eq!(locked.unwrap(), expected);
        }
        scene.clock.advance(Duration::from_secs(1));
        scene
    }

    fn lease(&self, saga: SagaId) -> Lease {
        self.leases[usize::from(saga.bucket().0)].clone()
    }

    async fn seen(&self) -> Seen {
        let sagas = [self.held, self.waits, self.ended, id(1 << 100)];
        let mut seen = Seen {
            sagas: Vec::new(),
            loaded: Vec::new(),
            counts: self.store.count().await.unwrap(),
            effects: self.database.read_all("effect").len(),
            lines: Vec::new(),
            held: Vec::new(),
            here: 0,
            due: Vec::new(),
        };
        for resource in ["a", "b"] {
            seen.lines.push(self.store.line(resource).await.unwrap());
        }
        for saga in sagas {
            seen.sagas.push(self.store.find(saga).await.unwrap());
            let lease = self.leases.get(usize::from(saga.bucket().0));
            if let Some(lease) = lease {
                seen.loaded
                    .push(self.store.load(lease, saga).await.unwrap());
            }
        }
        // What follows changes it: it is looked at once.
        let attended = self.store.attend(&self.executor, LONG).await.unwrap();
        seen.here = attended.executors.len();
        seen.held = attended.leases.iter().map(|lease| lease.bucket).collect();
        let taken = self.store.take(&attended.leases, 100, LONG).await.unwrap();
        let ids = taken.sagas.iter().flatten().map(|loaded| loaded.saga);
        seen.due = ids.collect();
        seen
    }
}

/// What an operation answers, if it answers.
type Answer = Result<String, StoreError>;

fn said(answer: Result<impl std::fmt::Debug, StoreError>) -> Answer {
    answer.map(|answer| format!("{answer:?}"))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Attend,
    Claim,
    Release,
    Depart,
    Start,
    StartHeld,
    Take,
    Load,
    Append,
    AppendReading,
    AppendLast,
    Work,
    WorkLast,
    WorkThatErrs,
    Lock,
    LockBusy,
    Line,
    Post,
    Find,
    List,
    Count,
    Sweep,
    SweepToArchive,
}

impl Operation {
    const ALL: [Operation; 23] = [
        Operation::Attend,
        Operation::Claim,
        Operation::Release,
        Operation::Depart,
        Operation::Start,
        Operation::StartHeld,
        Operation::Take,
        Operation::Load,
        Operation::Append,
        Operation::AppendReading,
        Operation::AppendLast,
        Operation::Work,
        Operation::WorkLast,
        Operation::WorkThatErrs,
        Operation::Lock,
        Operation::LockBusy,
        Operation::Line,
        Operation::Post,
        Operation::Find,
        Operation::List,
        Operation::Count,
        Operation::Sweep,
        Operation::SweepToArchive,
    ];

    async fn ask(self, scene: &Scene) -> Answer {
        let Scene {
            store, executor, ..
        } = scene;
        let lease = scene.lease(scene.held);
        let append = |records: Vec<Record>, stage, read| Append {
            saga: scene.held,
            after: 1,
            change: change(records, stage),
            read,
        };
        let done = || vec![record(Kind::Done), record(Kind::Began)];
        match self {
            Operation::Attend => said(store.attend(&ExecutorId::from_stored("host/2"), LONG).await),
            Operation::Claim => said(store.claim(executor, &[Bucket(63)], LONG).await),
            Operation::Release => said(
                store
                    .release(executor, &scene.leases[3..], Departing::No)
                    .await,
            ),
            Operation::Depart => said(store.release(executor, &scene.leases, Departing::Yes).await),
            Operation::Start => said(store.start(&start(id(1 << 100), None)).await),
            Operation::StartHeld => {
                let saga = id(1 << 100);
                let change = change(done(), Stage::Running);
                let held = Some((scene.lease(saga), change));
                said(store.start(&start(saga, held)).await)
            }
            Operation::Take => {
                let taken = store.take(&scene.leases, 1, LONG).await;
                said(taken.map(|taken| taken.sagas.len()))
            }
            Operation::Load => said(store.load(&lease, scene.held).await),
            Operation::Append => {
                let append = append(done(), Stage::Unwinding, 0);
                said(store.append(&lease, &append).await)
            }
            Operation::AppendReading => {
                let append = append(done(), Stage::Running, 1);
                said(store.append(&lease, &append).await)
            }
            Operation::AppendLast => {
                let append = append(done(), Stage::Compensated, 1);
                said(store.append(&lease, &append).await)
            }
            Operation::Work => {
                let work = MemoryWork::new(move |tx| {
                    tx.put("effect/1", "1");
                    tx.step()?;
                    tx.put("effect/2", "2");
                    tx.step()?;
                    Ok(change(done_records(), Stage::Stuck))
                });
                said(store.append_with(&lease, scene.held, 1, work).await)
            }
            // It leaves its line, and the next hears of it.
            Operation::WorkLast => {
                let work = MemoryWork::new(|_| Ok(change(done_records(), Stage::Done)));
                said(store.append_with(&lease, scene.held, 1, work).await)
            }
            Operation::Lock => said(store.lock(&lease, &lock(scene.held, "more", "b")).await),
            Operation::LockBusy => {
                let request = lock(scene.waits, "more", "a");
                said(store.lock(&scene.lease(scene.waits), &request).await)
            }
            Operation::Line => said(store.line("a").await),
            Operation::WorkThatErrs => {
                let work = MemoryWork::new(|tx| {
                    tx.put("effect/1", "1");
                    // Work that does not say that the database has crashed.
                    let _ = tx.step();
                    Err(Fault::failed("no such account"))
                });
                said(store.append_with(&lease, scene.held, 1, work).await)
            }
            Operation::Post => said(store.post(scene.held, &scene.letter).await),
            Operation::Find => said(store.find(scene.waits).await),
            Operation::List => said(store.list(Stage::Done, None, 9).await),
            Operation::Count => said(store.count().await),
            Operation::Sweep => {
                let swept = store.sweep(Duration::ZERO, Swept::Deleted, 9).await;
                // Who asks again hears what is left.
                said(swept.map(|_| ()))
            }
            Operation::SweepToArchive => {
                let swept = store.sweep(Duration::ZERO, Swept::Archived, 9).await;
                said(swept.map(|_| ()))
            }
        }
    }

    /// What it answers when it is asked again and was done, if that is not
    /// what it would have answered.
    fn again(self) -> Option<&'static str> {
        match self {
            Operation::Start | Operation::StartHeld => Some("Before"),
            // The log is longer by then: who got no answer loads it.
            Operation::Work | Operation::WorkLast => Some("Conflict"),
            _ => None,
        }
    }
}

fn done_records() -> Vec<Record> {
    vec![record(Kind::Done), record(Kind::Began)]
}

#[tokio::test]
async fn wherever_it_crashes_an_operation_was_done_or_was_not() {
    for operation in Operation::ALL {
        let untouched = Scene::new().await.seen().await;
        let scene = Scene::new().await;
        let answer = operation.ask(&scene).await.unwrap();
        let done = scene.seen().await;

        let mut step = 0;
        let mut outcomes = Vec::new();
        loop {
            let scene = Scene::new().await;
            scene.database.crash_at(step);
            let crashed = operation.ask(&scene).await;
            if !scene.database.is_down() {
                assert_eq!(crashed.unwrap(), answer, "{operation:?}");
                break;
            }
            crashed.expect_err("it has crashed, and does not answer");
            // Nor does it answer anything else.
            assert!(scene.store.count().await.is_err());
            scene.database.restart();
            let seen = scene.seen().await;
            let was_done = seen == done;
            assert!(was_done || seen == untouched, "{operation:?} at {step}");
            outcomes.push(was_done);
            step += 1;
        }
        assert!(outcomes.len() > usize::from(operation != Operation::WorkThatErrs));
        if done != untouched {
            let (last, before) = outcomes.split_last().expect("it has steps");
            assert!(*last, "{operation:?}: done, and nobody heard");
            assert!(before.iter().all(|was_done| !was_done), "{operation:?}");
        }
    }
}

#[tokio::test]
async fn whatever_is_asked_again_after_a_crash_is_as_if_asked_once() {
    for operation in Operation::ALL {
        // What is taken and never heard of is held.
        if operation == Operation::Take {
            continue;
        }
        let scene = Scene::new().await;
        let answer = operation.ask(&scene).await.unwrap();
        let once = scene.seen().await;
        let mut step = 0;
        loop {
            let scene = Scene::new().await;
            scene.database.crash_at(step);
            let crashed = operation.ask(&scene).await;
            let has_crashed = scene.database.is_down();
            assert_eq!(has_crashed, crashed.is_err());
            scene.database.restart();
            let again = operation.ask(&scene).await.unwrap();
            let is_same = again == answer;
            let is_known = operation.again() == Some(&*again);
            assert!(is_same || is_known, "{operation:?} at {step}: {again}");
            assert_eq!(scene.seen().await, once, "{operation:?} at {step}");
            if !has_crashed {
                break;
            }
            step += 1;
        }
    }
}

/// Whoever has no answer to a take lets go of all, and takes it anew.
#[tokio::test]
async fn what_was_taken_and_not_heard_of_is_found_by_a_new_claim() {
    for step in 0..2 {
        let scene = Scene::new().await;
        let Scene {
            store,
            executor,
            leases,
            ..
        } = &scene;
        scene.database.crash_at(step);
        let unheard = store.take(leases, 100, LONG).await;
        unheard.expect_err("it crashes");
        scene.database.restart();
        store
            .release(executor, leases, Departing::No)
            .await
            .unwrap();
        let wanted: Vec<_> = (0..64).map(Bucket).collect();
        let leases = store.claim(executor, &wanted, LONG).await.unwrap();
        let taken = store.take(&leases, 100, LONG).await.unwrap();
        let mut taken: Vec<_> = taken
            .sagas
            .into_iter()
            .map(|loaded| loaded.unwrap().saga)
            .collect();
        taken.sort();
        let mut all = [scene.held, scene.waits];
        all.sort();
        assert_eq!(taken, all, "crashed at {step}");
    }
}

/// A whole saga whose database crashes at each step in turn, run by an
/// executor that asks again: its effects are there once, and so are its lines.
#[tokio::test]
async fn wherever_it_crashes_a_saga_of_local_steps_has_its_effects_once() {
    let mut step = 0;
    loop {
        let database = Memory::new();
        let store = MemorySagas::new(&database);
        database.crash_at(step);
        let has_crashed = run(&database, &store).await;
        // It may be about to crash, when nothing is left to do.
        database.restart();
        let effects = database.read_all("effect/");
        assert_eq!(effects.len(), 3, "crashed at {step}");
        assert!(
            effects.iter().all(|(_, effect)| effect == "1"),
            "{effects:?}"
        );
        let found = store.find(id(5)).await.unwrap().unwrap();
        assert_eq!(found.records.len(), 3, "crashed at {step}");
        assert_eq!(found.summary.stage, Stage::Done);
        if !has_crashed {
            break;
        }
        step += 1;
    }
    assert!(step > 14, "{step} steps were crashed at");
}

async fn run(database: &Memory, store: &MemorySagas) -> bool {
    let mut has_crashed = false;
    loop {
        match run_until_it_crashes(store).await {
            Ok(()) => return has_crashed,
            Err(error) => assert!(database.is_down(), "{error}"),
        }
        has_crashed = true;
        database.restart();
    }
}

async fn run_until_it_crashes(store: &MemorySagas) -> Result<(), StoreError> {
    let saga = id(5);
    let executor = ExecutorId::from_stored("host/1");
    let started = store.start(&start(saga, None)).await?;
    assert_ne!(started, Started::Other);
    let leases = store.claim(&executor, &[saga.bucket()], LONG).await?;
    store.take(&leases, 1, LONG).await?;
    while let Some(loaded) = store.load(&leases[0], saga).await? {
        let lines = loaded.records.len();
        let work = MemoryWork::new(move |tx| {
            let effect = format!("effect/{lines}");
            let before = tx.read(&effect).map_or(0, |before| before.len());
            tx.put(effect, "1".repeat(before + 1));
            tx.step()?;
            let stage = if lines == 2 {
                Stage::Done
            } else {
                Stage::Running
            };
            Ok(change(vec![record(Kind::Done)], stage))
        });
        let worked = store
            .append_with(&leases[0], saga, lines as u64, work)
            .await?;
        assert!(matches!(worked, Worked::Done(_)), "{worked:?}");
    }
    let last = Append {
        saga,
        after: 2,
        change: change(vec![record(Kind::Done)], Stage::Done),
        read: 0,
    };
    // As who does not know that it was the last one.
    let appended = store.append(&leases[0], &last).await?;
    assert_eq!(appended, Appended::Held);
    Ok(())
}
