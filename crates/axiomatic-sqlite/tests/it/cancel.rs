//! Futures that are dropped at each of their awaits.
//!
//! A future can be dropped at once when it has been polled so often, while a
//! thread is at work for it; or when it was woken and not polled again, so that
//! what was done for it is not heard of. Both are tried for every number of
//! polls until it completes. And since threads may be quick, it is dropped
//! once more while another process keeps the thread that writes from writing.

mod idempotency;
mod relaying;
mod sagas;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axiomatic_coordination::outbox::{
    Departing, Fate, Fetch, Ids, Lane, Lease, Message, Operate, Replay, Scope, Settlement, Store,
    Stored,
};
use axiomatic_sqlite::outbox::{Keep, Options};

use crate::scene::{HOUR, Scene, again, failure, message, settled, under};
use crate::support::insert;

/// When a future is dropped that has been polled as often as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    AtOnce,
    WhenWoken,
}

const BOTH: [Dropped; 2] = [Dropped::AtOnce, Dropped::WhenWoken];

/// Polls a future so often at most. Nothing if it was dropped before it was
/// complete.
async fn polled<F: Future>(future: F, mut polls: usize, dropped: Dropped) -> Option<F::Output> {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if polls == 0 && dropped == Dropped::AtOnce => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await
}

/// What an operation is tried on: two keys with three messages, and all
/// buckets.
struct Stage {
    scene: Scene,
    leases: Vec<Lease>,
    stored: Vec<Stored>,
}

impl Stage {
    async fn new() -> Self {
        let scene = Scene::new(Options::new().keep(Keep::Archive(HOUR)));
        let messages = [message("a", "1"), message("a", "2"), message("b", "1")];
        scene.enqueue(messages).await;
        let leases = scene.claim_all().await;
        let mut stored = scene.fetch(&leases).await.rows;
        stored.sort_by_key(|stored| stored.row);
        assert_eq!(stored.len(), 3);
        let stage = Stage {
            scene,
            leases,
            stored,
        };
        // Nobody holds a bucket that is empty, and one message is dead.
        let buckets = stage.scene.outbox.buckets();
        let of_some = |lease: &&Lease| {
            let mut stored = stage.stored.iter();
            stored.all(|stored| buckets.of(stored.lane) != lease.bucket)
        };
        let empty = *stage.leases.iter().find(of_some).unwrap();
        let (outbox, relay) = (&stage.scene.outbox, &stage.scene.relay);
        let released = outbox.release(relay, &[empty], Departing::No).await;
        released.unwrap();
        stage.settle(2, Fate::Buried(failure("unroutable"))).await;
        stage
    }

    /// Settles one of the messages.
    async fn settle(&self, which: usize, fate: Fate) {
        let fates = [self.under(which, settled(&self.stored[which], fate))];
        let kept = self.scene.outbox.settle(&self.scene.relay, &fates).await;
        assert_eq!(kept.unwrap().len(), 1);
    }

    fn under<T>(&self, which: usize, what: T) -> Settlement<T> {
        under(&self.leases, &self.stored[which], what, &self.scene.outbox)
    }

    /// What the tables hold, but for times and names.
    fn tables(&self) -> Vec<String> {
        let look = self.scene.place.look();
        let tables = [
            "SELECT 'outbox', id, failures, started FROM outbox",
            "SELECT 'dead', id, failures, started FROM outbox_dead",
            "SELECT 'archive', id, failures, started FROM outbox_archive",
            "SELECT 'lane', lane, blocked_until IS NULL, 0 FROM outbox_lane",
            "SELECT 'lease', bucket, epoch, owner IS NULL FROM outbox_lease",
            "SELECT 'relays', count(*), 0, 0 FROM outbox_relay",
            "SELECT 'pauses', count(*), 0, 0 FROM outbox_pause",
            "SELECT 'backlog', messages, 0, 0 FROM outbox_backlog",
            "SELECT 'accounts', count(*), 0, 0 FROM account",
        ];
        let all = tables.join(" UNION ALL ") + " ORDER BY 1, 2";
        let mut all = look.prepare(&all).unwrap();
        let rows = all.query_map((), |row| {
            let table: String = row.get(0)?;
            let [one, two, three]: [i64; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
            Ok(format!("{table} {one} {two} {three}"))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// Nobody is in a transaction, and the count of messages is right.
async fn is_whole(scene: &Scene) {
    // What was begun is finished by then, since both threads take turns.
    let nothing = scene.database.writer().run(|_| Ok::<_, ()>(())).await;
    nothing.unwrap();
    let backlog = scene.outbox.backlog().await.unwrap();
    assert_eq!(
        scene.number("SELECT count(*) FROM outbox").unsigned_abs(),
        backlog.messages
    );
    let look = scene.place.look();
    look.busy_timeout(Duration::ZERO).unwrap();
    look.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
        .expect("nobody writes");
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let is_busy: i64 = look.query_row(checkpoint, (), |row| row.get(0)).unwrap();
    assert_eq!(is_busy, 0, "nobody reads");
}

type Operation = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Drops an operation at each of its awaits: it is done, or it is not done.
async fn drop_at_each_await(name: &str, operation: Operation) {
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
            found.push((polls, dropped, stage.tables()));
        }
        polls += 1;
    };
    if before != done {
        let stage = Stage::new().await;
        let other = stage.scene.place.look();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let completed = polled(operation(&stage), 1, Dropped::AtOnce).await;
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(completed, None, "{name} does not wait for its turn");
        is_whole(&stage.scene).await;
        found.push((1, Dropped::AtOnce, stage.tables()));
    }
    for (polls, dropped, tables) in found {
        let is_one = tables == before || tables == done;
        assert!(
            is_one,
            "{name}, {dropped:?} after {polls} polls: {tables:#?}"
        );
        if polls == 0 {
            assert_eq!(tables, before, "{name} is begun before it is polled");
        }
    }
}

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

#[tokio::test]
async fn what_relays_ask_for_is_done_or_not_done() {
    let operations: [(&str, Operation); 12] = [
        (
            "attend",
            operation!(|stage| { stage.scene.outbox.attend(&stage.scene.relay, HOUR) }),
        ),
        (
            "claim",
            operation!(|stage| async {
                stage.scene.claim_all().await;
                Ok::<_, ()>(())
            }),
        ),
        (
            "renew",
            operation!(|stage| {
                stage
                    .scene
                    .outbox
                    .renew(&stage.scene.relay, &stage.leases, HOUR)
            }),
        ),
        (
            "release",
            operation!(|stage| {
                let (outbox, relay) = (&stage.scene.outbox, &stage.scene.relay);
                outbox.release(relay, &stage.leases, Departing::Yes)
            }),
        ),
        (
            "fetch",
            operation!(|stage| async {
                let fetch = Fetch {
                    leases: &stage.leases,
                    after: Lane::LAST,
                    busy: &[],
                    rows: 10,
                    per_lane: 10,
                    lanes: 10,
                };
                stage.scene.outbox.fetch(&fetch).await
            }),
        ),
        (
            "start",
            operation!(|stage| async {
                let rows =
                    [0, 1].map(|which| stage.under(which, stage.stored[which].next_attempt()));
                stage.scene.outbox.start(&stage.scene.relay, &rows).await
            }),
        ),
        (
            "settle as published",
            operation!(|stage| async {
                stage.settle(0, Fate::Published).await;
                Ok::<_, ()>(())
            }),
        ),
        (
            "settle several",
            operation!(|stage| async {
                let fates = [(0, Fate::Published), (1, again("no"))];
                let rows = fates.map(|(which, fate)| settled(&stage.stored[which], fate));
                let lease = stage.under(0, ()).lease;
                let rows = rows.to_vec();
                let fates = [Settlement { lease, rows }];
                stage.scene.outbox.settle(&stage.scene.relay, &fates).await
            }),
        ),
        (
            "settle as failed",
            operation!(|stage| async {
                stage.settle(0, again("no")).await;
                Ok::<_, ()>(())
            }),
        ),
        (
            "settle as parked",
            operation!(|stage| async {
                stage.settle(0, Fate::Parked(failure("no"))).await;
                Ok::<_, ()>(())
            }),
        ),
        (
            "settle as dead",
            operation!(|stage| async {
                stage.settle(0, Fate::Buried(failure("no"))).await;
                Ok::<_, ()>(())
            }),
        ),
        ("tidy", operation!(|stage| stage.scene.outbox.tidy())),
    ];
    for (name, operation) in operations {
        drop_at_each_await(name, operation).await;
    }
}

#[tokio::test]
async fn what_operators_ask_for_is_done_or_not_done() {
    let operations: [(&str, Operation); 5] = [
        (
            "pause",
            operation!(|stage| stage.scene.outbox.pause(&Scope::All)),
        ),
        (
            "unblock",
            operation!(|stage| { stage.scene.outbox.unblock(stage.stored[0].lane) }),
        ),
        (
            "requeue",
            operation!(|stage| async { stage.scene.outbox.requeue(&[stage.stored[2].row]).await }),
        ),
        (
            "discard",
            operation!(|stage| async { stage.scene.outbox.discard(&[stage.stored[2].row]).await }),
        ),
        (
            "replay",
            operation!(|stage| async {
                let all = Replay {
                    ids: Ids::New,
                    ..Replay::default()
                };
                stage.scene.outbox.replay(&all, 10).await
            }),
        ),
    ];
    for (name, operation) in operations {
        drop_at_each_await(name, operation).await;
    }
}

#[tokio::test]
async fn a_transaction_is_executed_whole_or_not_at_all() {
    drop_at_each_await(
        "a transaction",
        operation!(|stage| stage.scene.database.writer().run(|tx| {
            insert(tx, "ada")?;
            tx.enqueue(Message::new("accounts", "opened").keyed("ada"))
                .expect("room");
            Ok::<_, rusqlite::Error>(())
        })),
    )
    .await;
}
