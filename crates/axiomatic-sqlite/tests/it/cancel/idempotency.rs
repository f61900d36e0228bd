//! What is asked of idempotent requests, dropped at each await.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::idempotency::{
    Adopt, Claim, Claimed, Fence, Kind, Mine, Name, Owner, Phases, Step, Store, StoredRequest,
};
use axiomatic_coordination::outbox::Operate;
use axiomatic_sqlite::idempotency::{AtomicPhase, Idempotency};
use axiomatic_sqlite::outbox::Options;

use super::{BOTH, Dropped, is_whole, polled};
use crate::idempotency::{claim, mine, name, response, work};
use crate::scene::{HOUR, Scene};

/// A request in each state, and one who asks, who may ask again.
struct Stage {
    scene: Scene,
    store: Idempotency,
    owner: Owner,
    /// That of the request that runs.
    running: Mine,
}

const RUNNING: &str = "running";

impl Stage {
    async fn new() -> Self {
        let scene = Scene::new(Options::new());
        let store = Idempotency::new(&scene.database).unwrap();
        let stored = request();
        let stage = Stage {
            running: mine(&store, &claim(&name(RUNNING))).await,
            owner: Owner::unique(),
            scene,
            store,
        };
        let (store, given_up) = (&stage.store, name("given up"));
        let mut ours = claim(&given_up);
        ours.request = Some(&stored);
        let ours = mine(store, &ours).await;
        assert_eq!(
            store.record(&ours.lease, &step()).await.unwrap(),
            Fence::Held
        );
        assert_eq!(store.release(&ours.lease).await.unwrap(), Fence::Held);
        let ours = mine(store, &claim(&name("complete"))).await;
        let done = store.complete(&ours.lease, &response("done"), HOUR).await;
        assert_eq!(done.unwrap(), Fence::Held);
        let old = name("old");
        let mut brief = claim(&old);
        (brief.lease, brief.retention) = (Duration::ZERO, Duration::ZERO);
        mine(store, &brief).await;
        stage
    }

    async fn claim(&self, key: &str) -> Result<Claimed, StoreError> {
        let name: Name = name(key);
        let claim = Claim {
            owner: self.owner,
            ..claim(&name)
        };
        self.store.claim(&claim).await
    }

    /// What the tables hold, but for times and names.
    fn tables(&self) -> Vec<String> {
        let look = self.scene.place.look();
        let all = "SELECT format('%s %s %s %s %s %s %s', key, state, epoch, attempts, steps, \
                   request_head, response_head) FROM idempotency \
                   UNION ALL SELECT 'account ' || count(*) FROM account \
                   UNION ALL SELECT 'outbox ' || count(*) FROM outbox \
                   UNION ALL SELECT 'long leases ' || count(*) FROM idempotency \
                   WHERE lease_until > unixepoch() * 1000000 + 2 * 3600 * 1000000 ORDER BY 1";
        let mut all = look.prepare(all).unwrap();
        let rows = all.query_map((), |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

fn request() -> StoredRequest {
    StoredRequest {
        method: "POST".into(),
        uri: "/payments".into(),
        headers: Vec::new(),
        body: "20".into(),
    }
}

fn step() -> Step {
    Step {
        name: "charge".into(),
        kind: Kind::Foreign,
        value: 20.into(),
    }
}

type Operation = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// An operation, as a future without a result.
macro_rules! operation {
    (|$stage:ident| $operation:expr) => {
        |$stage: &Stage| {
            Box::pin(async move {
                let _ = $operation.await.expect("works");
            })
        }
    };
}

const OPERATIONS: [(&str, Operation); 11] = [
    ("claim what is new", operation!(|stage| stage.claim("new"))),
    (
        "claim what was given up",
        operation!(|stage| stage.claim("given up")),
    ),
    (
        "claim what is forgotten",
        operation!(|stage| stage.claim("old")),
    ),
    (
        "claim what is complete",
        operation!(|stage| stage.claim("complete")),
    ),
    (
        "renew",
        operation!(|stage| stage.store.renew(&stage.running.lease, 9 * HOUR)),
    ),
    (
        "record",
        operation!(|stage| async { stage.store.record(&stage.running.lease, &step()).await }),
    ),
    (
        "complete",
        operation!(|stage| async {
            let lease = &stage.running.lease;
            stage.store.complete(lease, &response("done"), HOUR).await
        }),
    ),
    (
        "release",
        operation!(|stage| stage.store.release(&stage.running.lease)),
    ),
    (
        "adopt",
        operation!(|stage| async {
            let adopt = Adopt {
                owner: stage.owner,
                lease: HOUR,
                abandoned_for: Duration::ZERO,
                attempts: 9,
            };
            stage.store.adopt(&adopt).await
        }),
    ),
    ("sweep", operation!(|stage| stage.store.sweep(10))),
    (
        "an atomic phase",
        operation!(|stage| async {
            let (store, running) = (stage.store.clone(), stage.running.clone());
            let phases = Phases::new(store, name(RUNNING), running);
            phases.phase("pay").atomic(work).await
        }),
    ),
];

/// An operation that is dropped while the thread that writes is kept from it.
async fn kept_from_writing(operation: Operation) -> Stage {
    let stage = Stage::new().await;
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

/// And then it is asked again, with the same arguments.
#[tokio::test]
async fn what_is_asked_of_requests_is_done_or_not_done_and_can_be_asked_again() {
    for (name, operation) in OPERATIONS {
        let before = Stage::new().await.tables();
        let mut found = Vec::new();
        let mut polls = 0;
        let done = 'complete: loop {
            for dropped in BOTH {
                let stage = Stage::new().await;
                let completed = polled(operation(&stage), polls, dropped).await;
                is_whole(&stage.scene).await;
                if completed.is_some() {
                    break 'complete stage.tables();
                }
                found.push((polls, dropped, stage));
            }
            polls += 1;
        };
        if before != done {
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
