//! An outbox with a file of its own, and what tests ask of it.

use std::time::Duration;

use axiomatic_coordination::outbox::{
    Bucket, Cause, Class, Failure, Fate, Fetch, Fetched, Lane, Lease, Message, RelayId, Settled,
    Settlement, Store, Stored,
};
use axiomatic_sqlite::outbox::{Options, Outbox};
use axiomatic_sqlite::{Database, Durability};

use crate::support::Place;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Scene {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) relay: RelayId,
    pub(crate) place: Place,
}

impl Scene {
    pub(crate) fn new(options: Options) -> Self {
        let place = Place::new();
        let fast = axiomatic_sqlite::Options::new().durability(Durability::ProcessCrash);
        let database = place.open(fast);
        let outbox = Outbox::new(&database, options).expect("there is no relay yet");
        Scene {
            database,
            outbox,
            relay: RelayId::new("relay"),
            place,
        }
    }

    /// Commits these messages in one transaction.
    pub(crate) async fn enqueue(&self, messages: impl IntoIterator<Item = Message>) {
        let messages: Vec<_> = messages.into_iter().collect();
        let done = self.database.writer().run(move |tx| {
            messages
                .into_iter()
                .try_for_each(|message| tx.enqueue(message))
        });
        done.await.expect("commits");
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
    pub(crate) fn expire_leases(&self) {
        let expire = "UPDATE outbox_lease SET until = 1 WHERE owner IS NOT NULL";
        self.place.look().execute(expire, ()).expect("expires");
    }

    /// Makes what keeps lanes end, as time would.
    pub(crate) fn expire_blocks(&self) {
        let expire = "UPDATE outbox_lane SET blocked_until = 1 WHERE blocked_until IS NOT NULL";
        self.place.look().execute(expire, ()).expect("expires");
    }

    /// One number from the file.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let number = self.place.look().query_row(sql, (), |row| row.get(0));
        number.expect("is a number")
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
