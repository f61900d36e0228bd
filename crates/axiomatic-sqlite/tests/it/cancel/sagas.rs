//! What is asked of sagas, dropped at each await.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axiomatic_coordination::outbox::Operate;
use axiomatic_coordination::saga::{
    Append, Appended, Departing, ExecutorId, Kind, Lease, Lock, LockRequest, Locked, Mail, Posted,
    SagaId, Stage, Start, Started, Store, Swept, Wake, Worked,
};
use axiomatic_sqlite::outbox::Options;
use axiomatic_sqlite::saga::{SagaWork, Sagas};
use uuid::Uuid;

use super::{BOTH, Dropped, is_whole, polled};
use crate::sagas::{append, change, effect, letter, line, start};
use crate::scene::{HOUR, Scene};

/// Whose ids are the same on each stage.
const NEW: SagaId = saga(1);
const HELD: SagaId = saga(2);
const DUE: SagaId = saga(3);
const ENDED: SagaId = saga(4);
const FREE: SagaId = saga(5);

const fn saga(id: u128) -> SagaId {
    SagaId(Uuid::from_u128(id))
}

/// A saga that is held, with a letter and a lock; one that is due, and waits
/// for that; one that has none; one that has ended; and a bucket that nobody
/// has.
struct Set {
    scene: Scene,
    sagas: Sagas,
    executor: ExecutorId,
    leases: Vec<Lease>,
    mail: Mail,
}

impl Set {
    async fn new() -> Self {
        let scene = Scene::new(Options::new());
        let sagas = Sagas::new(&scene.database).unwrap();
        let executor = ExecutorId::new("host");
        sagas.attend(&executor, HOUR).await.unwrap();
        sagas
            .attend(&ExecutorId::new("gone"), Duration::ZERO)
            .await
            .unwrap();
        let buckets = [HELD, DUE, ENDED, FREE].map(SagaId::bucket);
        let mut leases = sagas.claim(&executor, &buckets, HOUR).await.unwrap();
        leases.sort_by_key(|lease| lease.bucket);
        let stage = Set {
            scene,
            sagas,
            executor,
            leases,
            mail: letter("go"),
        };
        for saga in [HELD, ENDED, FREE] {
            let started = stage.sagas.start(&stage.held(saga)).await.unwrap();
            assert_eq!(started, Started::Held);
        }
        assert_eq!(
            stage.sagas.start(&start(DUE)).await.unwrap(),
            Started::Waits
        );
        let posted = stage.sagas.post(HELD, &letter("first")).await.unwrap();
        assert_eq!(posted, Posted::Accepted);
        let mut end = append(ENDED, 1, change([line("ship")]));
        end.change.stage = Stage::Done;
        let ended = stage.sagas.append(stage.lease(ENDED), &end).await.unwrap();
        assert_eq!(ended, Appended::Held);
        for (saga, expected) in [(HELD, Locked::Held), (DUE, Locked::Waits)] {
            let locked = stage.locks(saga, "lock", &["a"]).await;
            assert_eq!(locked, expected);
        }
        stage
    }

    fn lease(&self, saga: SagaId) -> &Lease {
        let of = |lease: &&Lease| lease.bucket == saga.bucket();
        self.leases.iter().find(of).expect("is held")
    }

    fn held(&self, saga: SagaId) -> Start {
        let lease = self.lease(saga).clone();
        let held = Some((lease, change([line("book")])));
        Start {
            held,
            ..start(saga)
        }
    }

    fn reads(&self) -> Append {
        let mut signalled = line("first");
        signalled.kind = Kind::Signalled;
        let mut reads = append(HELD, 1, change([signalled, line("pay")]));
        reads.read = 1;
        reads.change.wake = Wake::In(HOUR);
        reads
    }

    async fn locks(&self, saga: SagaId, name: &str, resources: &[&str]) -> Locked {
        let locks = resources.iter().map(|resource| Lock::exclusive(*resource));
        let request = LockRequest {
            saga,
            name: name.into(),
            locks: locks.collect(),
            waits: true,
        };
        let locked = self.sagas.lock(self.lease(saga), &request).await;
        locked.expect("works")
    }

    /// What the tables hold, but for times and names.
    fn tables(&self) -> Vec<String> {
        let look = self.scene.place.look();
        let all = "SELECT format('saga %s %s %s %s %s %s %s', hex(saga), stage, length, loads, \
                   wake IS NULL, mailed IS NULL, ended IS NULL) FROM saga \
                   UNION ALL SELECT format('event %s %s %s %s', hex(saga), seq, step, epoch) \
                   FROM saga_event \
                   UNION ALL SELECT format('mail %s %s %s', hex(saga), nth, name) FROM saga_mail \
                   UNION ALL SELECT format('lock %s %s %s %s %s', resource, place, hex(saga), \
                   request, told) FROM saga_lock \
                   UNION ALL SELECT format('archived %s %s %s', id, hex(saga), length) \
                   FROM saga_archive \
                   UNION ALL SELECT format('lease %s %s %s', bucket, epoch, owner IS NULL) \
                   FROM saga_lease WHERE epoch > 0 \
                   UNION ALL SELECT 'executors ' || count(*) FROM saga_executor \
                   UNION ALL SELECT 'long leases ' || count(*) FROM saga_lease \
                   WHERE until > unixepoch() * 1000000 + 2 * 3600 * 1000000 \
                   UNION ALL SELECT 'account ' || count(*) FROM account \
                   UNION ALL SELECT 'outbox ' || count(*) FROM outbox ORDER BY 1";
        let mut all = look.prepare(all).unwrap();
        let rows = all.query_map((), |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

type Operation = for<'a> fn(&'a Set) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// An operation, as a future without a result.
macro_rules! operation {
    (|$stage:ident| $operation:expr) => {
        |$stage: &Set| {
            Box::pin(async move {
                let _ = $operation.await.expect("works");
            })
        }
    };
}

const OPERATIONS: [(&str, Operation); 18] = [
    (
        "attend",
        operation!(|stage| stage.sagas.attend(&stage.executor, 9 * HOUR)),
    ),
    (
        "claim",
        operation!(|stage| async {
            let wanted = [NEW.bucket(), HELD.bucket()];
            stage.sagas.claim(&stage.executor, &wanted, HOUR).await
        }),
    ),
    (
        "release",
        operation!(|stage| {
            let departing = Departing::Yes;
            stage
                .sagas
                .release(&stage.executor, &stage.leases, departing)
        }),
    ),
    (
        "start",
        operation!(|stage| async { stage.sagas.start(&start(NEW)).await }),
    ),
    (
        "start with a lease",
        operation!(|stage| async {
            let mut start = stage.held(HELD);
            start.saga = saga(100);
            while start.saga.bucket() != HELD.bucket() {
                start.saga = saga(start.saga.0.as_u128() + 1);
            }
            stage.sagas.start(&start).await
        }),
    ),
    (
        "append",
        operation!(|stage| async { stage.sagas.append(stage.lease(HELD), &stage.reads()).await }),
    ),
    (
        "append the end",
        operation!(|stage| async {
            let mut end = append(HELD, 1, change([line("pay")]));
            end.change.stage = Stage::Done;
            stage.sagas.append(stage.lease(HELD), &end).await
        }),
    ),
    (
        "lock",
        operation!(|stage| async { Some(stage.locks(HELD, "more", &["b", "c"]).await) }),
    ),
    (
        "lock what another has",
        operation!(|stage| async { Some(stage.locks(FREE, "lock", &["a", "b"]).await) }),
    ),
    ("line", operation!(|stage| stage.sagas.line("a"))),
    (
        "post",
        operation!(|stage| stage.sagas.post(DUE, &stage.mail)),
    ),
    (
        "load",
        operation!(|stage| stage.sagas.load(stage.lease(HELD), HELD)),
    ),
    ("find", operation!(|stage| stage.sagas.find(HELD))),
    (
        "sweep",
        operation!(|stage| stage.sagas.sweep(Duration::ZERO, Swept::Deleted, 10)),
    ),
    (
        "sweep into the archive",
        operation!(|stage| stage.sagas.sweep(Duration::ZERO, Swept::Archived, 10)),
    ),
    (
        "take",
        operation!(|stage| async { stage.sagas.take(&stage.leases, 10, HOUR).await }),
    ),
    (
        "append with work",
        operation!(|stage| async {
            let work = SagaWork::new(|tx| {
                effect(tx)?;
                Ok(change([line("pay")]))
            });
            let worked = stage.sagas.append_with(stage.lease(HELD), HELD, 1, work);
            let worked = worked.await;
            assert!(matches!(worked, Ok(Worked::Done(_) | Worked::Conflict)));
            worked
        }),
    ),
    (
        "append the end with work",
        operation!(|stage| async {
            let work = SagaWork::new(|tx| {
                effect(tx)?;
                let mut end = change([line("pay")]);
                end.stage = Stage::Done;
                Ok(end)
            });
            let worked = stage.sagas.append_with(stage.lease(HELD), HELD, 1, work);
            let worked = worked.await;
            assert!(matches!(worked, Ok(Worked::Done(_) | Worked::Conflict)));
            worked
        }),
    ),
];

/// An operation that is dropped while the thread that writes is kept from it.
async fn kept_from_writing(operation: Operation) -> Set {
    let stage = Set::new().await;
    let other = stage.scene.place.look();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let mut operation = operation(&stage);
        // Before it writes, it may read.
        for _ in 0..2 {
            let polled = poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await;
            assert_eq!(polled, Poll::Pending, "it does not wait for its turn");
            stage.scene.outbox.backlog().await.unwrap();
        }
    }
    other.execute_batch("ROLLBACK").unwrap();
    is_whole(&stage.scene).await;
    stage
}

/// Every operation is asked for a second time, with the same arguments.
#[tokio::test]
async fn what_is_asked_of_sagas_is_done_or_not_done_and_can_be_asked_again() {
    for (name, operation) in OPERATIONS {
        let before = Set::new().await.tables();
        let mut found = Vec::new();
        let mut polls = 0;
        let done = 'complete: loop {
            for dropped in BOTH {
                let stage = Set::new().await;
                let completed = polled(operation(&stage), polls, dropped).await;
                is_whole(&stage.scene).await;
                if completed.is_some() {
                    break 'complete stage.tables();
                }
                found.push((polls, dropped, stage));
            }
            polls += 1;
        };
        let changes_nothing = ["load", "find", "line"].contains(&name);
        assert_eq!(before == done, changes_nothing, "{name}");
        if !changes_nothing {
            found.push((2, Dropped::AtOnce, kept_from_writing(operation).await));
        }
        for (polls, dropped, stage) in found {
            let tables = stage.tables();
            let is_one = tables == before || tables == done;
            assert!(is_one, "{name}, {dropped:?} after {polls}: {tables:#?}");
            if polls == 0 {
                assert_eq!(tables, before, "{name} is begun before it is polled");
            }
            operation(&stage).await;
            assert_eq!(stage.tables(), done, "{name}, asked again");
        }
    }
}
