//! Several who have the file open, as in several processes: each has a thread
//! that writes.

use std::collections::BTreeMap;
use std::time::Duration;

use axiomatic_coordination::saga::{
    Appended, BUCKETS, ExecutorId, Lease, SagaId, Stage, Started, Store,
};
use axiomatic_sqlite::saga::Sagas;
use axiomatic_sqlite::{Database, Durability, Options};

use super::scene::{Scene, append, change, line, saga_in, start};
use crate::scene::HOUR;

/// As many more with the same file.
fn others<const N: usize>(scene: &Scene) -> [Sagas; N] {
    [(); N].map(|()| {
        let fast = Options::new().durability(Durability::ProcessCrash);
        let database = Database::open(scene.place.file(), fast).unwrap();
        Sagas::new(&database).unwrap()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_one_has_each_bucket_and_each_saga() {
    let scene = Scene::new();
    for _ in 0..200 {
        let started = scene.sagas.start(&start(SagaId::unique())).await.unwrap();
        assert_eq!(started, Started::Waits);
    }
    let [second, third] = others(&scene);
    let tasks = [scene.sagas.clone(), second, third].map(|sagas| {
        tokio::spawn(async move {
            let executor = ExecutorId::new("host");
            let mut leases = Vec::new();
            for bucket in BUCKETS.all() {
                leases.extend(sagas.claim(&executor, &[bucket], HOUR).await.unwrap());
            }
            let mut taken = Vec::new();
            loop {
                let more = sagas.take(&leases, 7, HOUR).await.unwrap();
                taken.extend(more.sagas.into_iter().map(|saga| saga.unwrap().saga));
                if !more.more {
                    return (leases, taken);
                }
            }
        })
    });
    let mut leases = BTreeMap::new();
    let mut sagas = BTreeMap::new();
    for task in tasks {
        let (held, taken) = task.await.unwrap();
        for lease in &held {
            *leases.entry(lease.bucket).or_insert(0) += 1;
        }
        for saga in taken {
            assert!(held.iter().any(|lease| lease.bucket == saga.bucket()));
            *sagas.entry(saga).or_insert(0) += 1;
        }
    }
    assert_eq!((leases.len(), sagas.len()), (64, 200));
    assert!(
        leases
            .values()
            .chain(sagas.values())
            .all(|times| *times == 1)
    );
}

/// Leases last for milliseconds, so that each is a zombie now and then; each
/// writes as long as it is not told that it is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_processes_write_of_a_saga_has_one_author_at_a_time() {
    const LINES: usize = 200;
    let scene = Scene::new();
    let saga = SagaId::unique();
    scene.sagas.start(&start(saga)).await.unwrap();
    let [second] = others(&scene);
    let tasks = [scene.sagas.clone(), second].map(|sagas| {
        tokio::spawn(async move {
            let mut held = 0;
            loop {
                let executor = ExecutorId::new("host");
                let brief = Duration::from_millis(4);
                let leases = sagas
                    .claim(&executor, &[saga.bucket()], brief)
                    .await
                    .unwrap();
                let Some(lease) = leases.first() else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                };
                held += 1;
                if !write(&sagas, lease, saga, LINES).await {
                    return held;
                }
            }
        })
    });
    let mut held = 0;
    for task in tasks {
        held += task.await.unwrap();
    }
    assert!(held > 2, "nobody was followed");
    let log = scene.log(saga).await;
    assert!(log.len() >= LINES);
    for (nth, line) in log.iter().enumerate() {
        assert_eq!(*line.step, format!("{nth}"), "a line is there twice");
    }
    let authors = "SELECT count(*) FROM (SELECT epoch, lag(epoch) OVER (ORDER BY seq) AS before \
                   FROM saga_event) WHERE before > epoch";
    let look = scene.place.look();
    let late: i64 = look.query_row(authors, (), |row| row.get(0)).unwrap();
    assert_eq!(late, 0, "a zombie wrote behind who followed");
}

/// Writes lines until the lease is lost. Returns whether there is more to do.
async fn write(sagas: &Sagas, lease: &Lease, saga: SagaId, lines: usize) -> bool {
    let Some(loaded) = sagas.load(lease, saga).await.unwrap() else {
        return true;
    };
    for nth in loaded.records.len()..lines {
        let next = change([line(&format!("{nth}"))]);
        match sagas
            .append(lease, &append(saga, nth as u64, next))
            .await
            .unwrap()
        {
            Appended::Held => {}
            Appended::Lost => return true,
            Appended::Conflict => panic!("two have the lease"),
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_starts_by_two_processes_one_begins() {
    let scene = Scene::new();
    let [second] = others(&scene);
    let lease = scene.claim(SagaId::unique()).await;
    for round in 0..50 {
        let saga = saga_in(lease.bucket);
        let starts = [scene.sagas.clone(), second.clone()].map(|sagas| {
            let mut start = start(saga);
            start.held = Some((lease.clone(), change([line("book")])));
            tokio::spawn(async move { sagas.start(&start).await.unwrap() })
        });
        let mut started = Vec::new();
        for start in starts {
            started.push(start.await.unwrap());
        }
        started.sort_by_key(|started| *started == Started::Before);
        assert_eq!(started, [Started::Held, Started::Before], "round {round}");
        assert_eq!(scene.log(saga).await, [line("book")]);
    }
    let running = second.list(Stage::Running, None, 100).await.unwrap();
    assert_eq!(running.len(), 50);
}
