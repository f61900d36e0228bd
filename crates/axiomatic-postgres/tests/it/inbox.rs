//! What the inbox does with PostgreSQL's transactions.

mod cancel;
mod concurrency;
mod partitions;
mod transactions;

use std::time::Duration;

use axiomatic_coordination::inbox::{Config, Delivery, IdRule};
use axiomatic_postgres::Database;
use axiomatic_postgres::inbox::{Inbox, Options};
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnection, Postgres};
use tokio_postgres::{Client, Transaction};

use crate::support::{Place, connect};

/// A database with an inbox and a table of business.
struct Scene {
    place: Place,
    inbox: Inbox,
    /// To look from outside.
    look: Client,
}

fn config() -> Config {
    Config::new(IdRule::BrokerId, Duration::from_secs(60))
}

fn message(id: impl Into<Box<str>>) -> Delivery {
    Delivery::new("paid").with_broker_id(id).attempted(1)
}

impl Scene {
    async fn new(config: Config, options: Options) -> Option<Scene> {
        let place = Place::find().await?;
        let inbox = config.build().expect("a configuration");
        let inbox = Inbox::new(&place.database(), inbox, options).await;
        let inbox = inbox.expect("tables");
        let look = place.client().await;
        let table = format!(
            "CREATE TABLE {}.account (at bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL)",
            place.schema
        );
        look.batch_execute(&table).await.expect("a table");
        Some(Scene { place, inbox, look })
    }

    async fn plain() -> Option<Scene> {
        Scene::new(config(), Options::new()).await
    }

    /// What work does.
    fn insert(&self) -> String {
        format!(
            "INSERT INTO {}.account (name) VALUES ('paid')",
            self.place.schema
        )
    }

    /// A consumer's connection, whose session has the name of the schema.
    async fn client(&self) -> Client {
        let url = format!("{}?application_name={}", self.place.url, self.place.schema);
        connect(&url).await.expect("PostgreSQL is there")
    }

    async fn sqlx(&self) -> PgConnection {
        let url = format!("{}?application_name={}", self.place.url, self.place.schema);
        PgConnection::connect(&url)
            .await
            .expect("PostgreSQL is there")
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = sql.replace("{schema}", &self.place.schema);
        let row = self.look.query_one(&sql, &[]).await;
        row.expect("a number").get(0)
    }

    async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {{schema}}.{table}"))
            .await
    }

    /// How many sessions of consumers are in this state, such as
    /// `state = 'idle in transaction'`.
    async fn sessions(&self, that: &str) -> i64 {
        self.number(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND {that}",
            self.place.schema
        ))
        .await
    }
}

async fn insert(tx: &mut Transaction<'_>, insert: &str) -> Result<(), tokio_postgres::Error> {
    tx.execute(insert, &[]).await.map(drop)
}

async fn insert_by_sqlx(tx: &mut PgConnection, insert: &str) -> Result<(), sqlx_core::Error> {
    let insert = query::<Postgres>(AssertSqlSafe(insert.to_owned()));
    insert.execute(tx).await.map(drop)
}
