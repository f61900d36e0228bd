//! An outbox with a schema of its own, and what tests ask of it.

use std::time::Duration;

use axiomatic_coordination::outbox::{
    Bucket, Cause, Class, Failure, Fate, Fetch, Fetched, Lane, Lease, Message, RelayId, Settled,
    Settlement, Store, Stored,
};
use axiomatic_postgres::Database;
use axiomatic_postgres::outbox::{Options, Outbox};
use tokio_postgres::Client;

use crate::support::Place;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Scene {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) relay: RelayId,
    pub(crate) client: Client,
    pub(crate) place: Place,
}

impl Scene {
    /// In the PostgreSQL that is there, if one is.
    pub(crate) async fn find(options: Options) -> Option<Self> {
        let place = Place::find().await?;
        let database = place.database();
        let outbox = Outbox::new(&database, options).await;
        Some(Scene {
            outbox: outbox.expect("there is no relay yet"),
            relay: RelayId::new("relay"),
            client: place.client().await,
            database,
            place,
        })
    }

    /// Commits these messages in one transaction.
    pub(crate) async fn enqueue(&self, messages: impl IntoIterator<Item = Message>) {
        let mut client = self.place.client().await;
        let mut tx = client.transaction().await.expect("a transaction");
        let messages: Vec<_> = messages.into_iter().collect();
        let enqueued = self.outbox.enqueue(&mut tx, messages).await;
        enqueued.expect("there is room");
        tx.commit().await.expect("commits");
    }

    /// Takes all buckets for an hour.
    pub(crate) async fn claim_all(&self) -> Vec<Lease> {
        let all: Vec<_> = self.outbox.buckets().all().collect();
        let leases = self.outbox.claim(&self.relay, &all, HOUR).await;
        leases.expect("claims")
    }

    /// What is ready in these buckets.
    pub(crate) async fn fetch(&self, leases: &[Lease]) -> Fetched {
        let fetch = Fetch {
            leases,
            after: Lane::LAST,
            busy: &[],
            rows: 1000,
            per_lane: 1000,
            lanes: 1000,
        };
        self.outbox.fetch(&fetch).await.expect("fetches")
    }

    /// Settles one message under the lease of its bucket.
    pub(crate) async fn settle(
        &self,
        leases: &[Lease],
        stored: &Stored,
        fate: Fate,
    ) -> Vec<Bucket> {
        let fates = [under(leases, stored, settled(stored, fate), &self.outbox)];
        let kept = self.outbox.settle(&self.relay, &fates).await;
        kept.expect("settles")
    }

    /// Makes all leases end, as time would.
    pub(crate) async fn expire_leases(&self) {
        self.execute("UPDATE {s}.outbox_lease SET until = 'epoch' WHERE owner IS NOT NULL")
            .await;
    }

    /// Makes what keeps lanes end, as time would.
    pub(crate) async fn expire_blocks(&self) {
        let expire = "UPDATE {s}.outbox_lane SET blocked_until = 'epoch' \
                      WHERE blocked_until IS NOT NULL";
        self.execute(expire).await;
    }

    /// SQL in which the schema stands as `{s}`.
    pub(crate) fn sql(&self, sql: &str) -> String {
        sql.replace("{s}", &self.place.schema)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        let done = self.client.batch_execute(&self.sql(sql)).await;
        done.expect("what is asked for");
    }

    /// One number from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let row = self.client.query_one(&self.sql(sql), &[]).await;
        row.expect("a number").get(0)
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {{s}}.{table}"))
            .await
    }
}

/// Something about a message, and the lease of its bucket.
pub(crate) fn under<T>(
    leases: &[Lease],
    stored: &Stored,
    what: T,
    outbox: &Outbox,
) -> Settlement<T> {
    let bucket = outbox.buckets().of(stored.lane);
    let lease = leases.iter().find(|lease| lease.bucket == bucket);
    Settlement {
        lease: *lease.expect("all buckets are held"),
        rows: vec![what],
    }
}

pub(crate) fn settled(stored: &Stored, fate: Fate) -> Settled {
    Settled {
        row: stored.row,
        lane: stored.lane,
        fate,
    }
}

pub(crate) fn failure(error: &str) -> Failure {
    Failure {
        cause: Cause::Rejected(Class::Transient),
        error: error.into(),
    }
}

/// Tried again after an hour, because it failed.
pub(crate) fn again(error: &str) -> Fate {
    Fate::Again {
        after: HOUR,
        failure: Some(failure(error)),
    }
}

/// A message of a key; its body says which.
pub(crate) fn message(key: &str, body: &'static str) -> Message {
    Message::new("orders", body).keyed(key)
}

/// The bodies of what was fetched.
pub(crate) fn bodies(fetched: &Fetched) -> Vec<&str> {
    let bodies = fetched.rows.iter().map(|stored| stored.message.body());
    bodies
        .map(|body| std::str::from_utf8(body).expect("is text"))
        .collect()
}
