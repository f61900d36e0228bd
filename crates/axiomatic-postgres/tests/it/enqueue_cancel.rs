//! Producers that are dropped at each of their awaits.

use std::future::poll_fn;
use std::task::Poll;

use axiomatic_coordination::outbox::Message;
use axiomatic_postgres::outbox::{Options, Outbox};
use sqlx_core::connection::Connection;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use tokio_postgres::{Client, NoTls};

use crate::support::{Place, until};

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

/// So many messages of a key that has numbers, and of one that has none.
fn messages(case: &str) -> [Message; 3] {
    let message = || Message::new("t", case.to_owned());
    [
        message(),
        message().keyed("known").ordered(),
        message().keyed(case).ordered(),
    ]
}

struct Scene {
    place: Place,
    outbox: Outbox,
    look: Client,
}

impl Scene {
    async fn new() -> Option<Scene> {
        let place = Place::find().await?;
        let outbox = Outbox::new(&place.database(), Options::new()).await;
        let outbox = outbox.expect("an outbox");
        let mut look = place.client().await;
        let mut tx = look.transaction().await.expect("begins");
        let known = [Message::new("t", "").keyed("known").ordered()];
        outbox.enqueue(&mut tx, known).await.expect("enqueues");
        tx.commit().await.expect("commits");
        Some(Scene {
            place,
            outbox,
            look,
        })
    }

    /// The address, under a name of its own in the server's list of sessions.
    fn named(&self, name: &str) -> String {
        let separator = if self.place.url.contains('?') {
            '&'
        } else {
            '?'
        };
        format!("{}{separator}application_name={name}", self.place.url)
    }

    fn count(&self, case: &str) -> String {
        format!(
            "SELECT count(*) FROM {}.outbox WHERE convert_from(body, 'UTF8') = '{case}'",
            self.place.schema
        )
    }

    async fn written(&self, case: &str) -> i64 {
        let row = self.look.query_one(&self.count(case), &[]).await;
        row.expect("counts").get(0)
    }

    /// Waits until no session of this name is in a transaction.
    async fn closed(&self, name: &str) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 \
                   AND (state <> 'idle' OR xact_start IS NOT NULL)";
        until("no transaction is open", async || {
            let open = self.look.query_one(sql, &[&name]).await.expect("counts");
            open.get::<_, i64>(0) == 0
        })
        .await;
    }

    /// The numbers of the key that is known have no gap.
    async fn has_no_gap(&self) {
        let sql = format!(
            "SELECT max(sequence) - min(sequence) + 1 = count(*) FROM {}.outbox WHERE key = 'known'",
            self.place.schema
        );
        let has_none: bool = self.look.query_one(&sql, &[]).await.expect("reads").get(0);
        assert!(has_none, "a number is missing");
    }
}

/// Tries every number of polls, until one suffices.
macro_rules! at_each_poll {
    (|$polls:ident, $dropped:ident, $case:ident| $tried:expr) => {
        for $dropped in BOTH {
            let mut completed = false;
            for $polls in 0..1000 {
                let $case = format!("{}-{}", $polls, $dropped == Dropped::AtOnce);
                if $tried {
                    completed = true;
                    break;
                }
            }
            assert!(completed, "it never completes");
        }
    };
}

#[tokio::test]
async fn a_transaction_of_tokio_postgres_goes_on_or_rolls_back() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let name = format!("{}_tokio", scene.place.schema);
    let (mut client, connection) = tokio_postgres::connect(&scene.named(&name), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    at_each_poll!(|polls, dropped, case| {
        let mut tx = client.transaction().await.unwrap();
        let enqueue = scene.outbox.enqueue(&mut tx, messages(&case));
        let done = polled(enqueue, polls, dropped).await;
        drop(tx);
        scene.closed(&name).await;
        assert_eq!(scene.written(&case).await, 0);

        // It can also go on: it has all of a statement, or nothing.
        let case = format!("{case} goes on");
        let mut tx = client.transaction().await.unwrap();
        let enqueue = scene.outbox.enqueue(&mut tx, messages(&case));
        polled(enqueue, polls, dropped).await;
        let row = tx.query_one(&scene.count(&case), &[]).await.unwrap();
        let written: i64 = row.get(0);
        tx.commit().await.unwrap();
        assert!(written == 0 || written == 3, "{written}");
        assert_eq!(scene.written(&case).await, written);
        scene.has_no_gap().await;
        done.is_some()
    });
}

#[tokio::test]
async fn a_transaction_of_sqlx_goes_on_or_rolls_back() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let name = format!("{}_sqlx", scene.place.schema);
    let mut own = PgConnection::connect(&scene.named(&name)).await.unwrap();
    at_each_poll!(|polls, dropped, case| {
        let mut tx = own.begin().await.unwrap();
        let enqueue = scene.outbox.enqueue(&mut *tx, messages(&case));
        let done = polled(enqueue, polls, dropped).await;
        drop(tx);
        // The rollback is sent with what is next, as its pool does.
        own.ping().await.unwrap();
        scene.closed(&name).await;
        assert_eq!(scene.written(&case).await, 0);

        let case = format!("{case} goes on");
        let mut tx = own.begin().await.unwrap();
        let enqueue = scene.outbox.enqueue(&mut *tx, messages(&case));
        polled(enqueue, polls, dropped).await;
        let written = query_scalar::<_, i64>(AssertSqlSafe(scene.count(&case)));
        let written = written.fetch_one(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        assert!(written == 0 || written == 3, "{written}");
        assert_eq!(scene.written(&case).await, written);
        scene.has_no_gap().await;
        done.is_some()
    });
}

#[tokio::test]
async fn a_commit_with_messages_has_happened_whole_or_not_at_all() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let name = format!("{}_commit", scene.place.schema);
    let (mut client, connection) = tokio_postgres::connect(&scene.named(&name), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut own = PgConnection::connect(&scene.named(&name)).await.unwrap();
    at_each_poll!(|polls, dropped, case| {
        let mut tx = scene.outbox.buffered(client.transaction().await.unwrap());
        for message in messages(&case) {
            tx.push(message).unwrap();
        }
        let by_tokio = polled(tx.commit(), polls, dropped).await;
        scene.closed(&name).await;
        let written = scene.written(&case).await;
        assert!(written == 3 || written == 0 && by_tokio.is_none());

        let case = format!("{case} by sqlx");
        let mut tx = scene.outbox.buffered(own.begin().await.unwrap());
        for message in messages(&case) {
            tx.push(message).unwrap();
        }
        let by_sqlx = polled(tx.commit(), polls, dropped).await;
        own.ping().await.unwrap();
        scene.closed(&name).await;
        let written = scene.written(&case).await;
        assert!(written == 3 || written == 0 && by_sqlx.is_none());
        scene.has_no_gap().await;
        by_tokio.is_some() && by_sqlx.is_some()
    });
}
