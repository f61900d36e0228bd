//! What idempotent requests do with PostgreSQL's transactions and locks.

mod cancel;
mod phases;
mod races;
mod tables;

use std::time::Duration;

use axiomatic_coordination::idempotency::{
    Adopt, Claim, Claimed, Fence, Fingerprint, Key, Kind, Lease, Mine, Name, Owner, Phases, Scope,
    Step, Store, StoredRequest, StoredResponse,
};
use axiomatic_postgres::Database;
use axiomatic_postgres::idempotency::Idempotency;
use tokio_postgres::Client;

use crate::support::{Place, connect, until};

const HOUR: Duration = Duration::from_secs(3600);

/// A database with a table of business.
struct Scene {
    place: Place,
    store: Idempotency,
    /// To look from outside.
    look: Client,
}

impl Scene {
    async fn find() -> Option<Scene> {
        Self::with(8).await
    }

    /// With so many connections of the store.
    async fn with(connections: usize) -> Option<Scene> {
        let place = Place::find().await?;
        let options = place.options().connections(connections);
        let database = Database::new(&named(&place), options).expect("an address");
        let store = Idempotency::new(&database).await.expect("a table");
        let look = place.client().await;
        let table = format!("CREATE TABLE {}.account (name text NOT NULL)", place.schema);
        look.batch_execute(&table).await.expect("a table");
        Some(Scene { place, store, look })
    }

    /// A handler's connection, whose session has the name of the schema.
    async fn client(&self) -> Client {
        let client = connect(&named(&self.place)).await;
        client.expect("PostgreSQL is there")
    }

    fn sql(&self, sql: &str) -> String {
        sql.replace("{schema}", &self.place.schema)
    }

    /// What work does.
    fn insert(&self) -> String {
        self.sql("INSERT INTO {schema}.account (name) VALUES ('paid')")
    }

    async fn execute(&self, sql: &str) {
        let done = self.look.batch_execute(&self.sql(sql)).await;
        done.expect("what is asked for");
    }

    async fn number(&self, sql: &str) -> i64 {
        let row = self.look.query_one(&self.sql(sql), &[]).await;
        row.expect("a number").get(0)
    }

    async fn accounts(&self) -> i64 {
        self.number("SELECT count(*) FROM {schema}.account").await
    }

    /// All of the table, but for its times.
    async fn rows(&self) -> Vec<String> {
        let rows = "SELECT (to_jsonb(i) - '{lease_until,expires_at,abandoned_at}'::text[])::text \
                    FROM {schema}.idempotency i ORDER BY key, record";
        let rows = self.look.query(&self.sql(rows), &[]).await;
        rows.expect("rows").iter().map(|row| row.get(0)).collect()
    }

    /// How many sessions are in this state, such as `state <> 'idle'`.
    async fn sessions(&self, that: &str) -> i64 {
        self.number(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{{schema}}' \
             AND {that}"
        ))
        .await
    }

    async fn until_nobody_is_at_work(&self) {
        until("all sessions are idle", async || {
            self.sessions("state <> 'idle'").await == 0
        })
        .await;
    }

    /// Makes the leases end, as time would.
    async fn let_leases_end(&self) {
        self.execute("UPDATE {schema}.idempotency SET lease_until = 'epoch'")
            .await;
    }

    async fn claim(&self, claim: &Claim<'_>) -> Claimed {
        self.store.claim(claim).await.expect("an answer")
    }

    /// A claim that must be ours.
    async fn mine(&self, claim: &Claim<'_>) -> Mine {
        match self.claim(claim).await {
            Claimed::Mine(mine) => mine,
            other => panic!("not ours: {other:?}"),
        }
    }

    /// Completes with this body, and an hour to be remembered.
    async fn complete(&self, lease: &Lease, body: &'static str) -> Fence {
        let response = response(body);
        let done = self.store.complete(lease, &response, HOUR).await;
        done.expect("an answer")
    }

    fn phases(&self, name: &Name, mine: Mine) -> Phases<Idempotency> {
        Phases::new(self.store.clone(), name.clone(), mine)
    }
}

/// The server knows the sessions by the schema's name.
fn named(place: &Place) -> String {
    format!("{}?application_name={}", place.url, place.schema)
}

fn name(key: &str) -> Name {
    let scope = Scope {
        tenant: "acme".into(),
        method: "POST".into(),
        route: "/charges".into(),
    };
    let key = Key::new(key).expect("a key");
    Name { scope, key }
}

fn claim(name: &Name) -> Claim<'_> {
    Claim {
        name,
        fingerprint: Fingerprint([7; 32]),
        owner: Owner::unique(),
        lease: HOUR,
        retention: HOUR,
        request: None,
    }
}

fn adopt() -> Adopt {
    Adopt {
        owner: Owner::unique(),
        lease: HOUR,
        abandoned_for: Duration::ZERO,
        attempts: 100,
    }
}

fn request() -> StoredRequest {
    StoredRequest {
        method: "POST".into(),
        uri: "/charges".into(),
        headers: Vec::new(),
        body: "20".into(),
    }
}

fn response(body: &'static str) -> StoredResponse {
    StoredResponse {
        status: 201,
        headers: Vec::new(),
        body: body.into(),
    }
}

fn step(name: &str) -> Step {
    Step {
        name: name.into(),
        kind: Kind::Foreign,
        value: 1.into(),
    }
}
