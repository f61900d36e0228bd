//! The inbox in PostgreSQL, held to the laws of every inbox, over both
//! drivers.

use std::time::Duration;

use axiomatic_coordination::inbox::conformance::{self, Forgets, Script, Subject};
use axiomatic_coordination::inbox::{
    Admission, Config, Delivery, Gap, Id, Ordered, Outcome, Quarantined, Stream,
};
use axiomatic_core::BoxError;
use axiomatic_postgres::inbox::{Inbox, Options};
use bytes::Bytes;
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_postgres::{PgConnection, Postgres};
use tokio_postgres::Transaction;

use crate::support::Place;

/// A database with the list of the laws, and an inbox.
struct Scene {
    place: Place,
    inbox: Inbox,
}

impl Scene {
    /// Nothing where there is no PostgreSQL: then the test was skipped before.
    async fn new(config: Config) -> Self {
        let place = Place::find().await.expect("PostgreSQL is there");
        let inbox = config.build().expect("a configuration");
        // So short ones that the retention of the laws is over in some.
        let options = Options::new().partitions_of(inbox.retention());
        let inbox = Inbox::new(&place.database(), inbox, options).await;
        let table = format!(
            "CREATE TABLE {}.effect (id bigint GENERATED ALWAYS AS IDENTITY, body text NOT NULL)",
            place.schema
        );
        let client = place.client().await;
        client.batch_execute(&table).await.expect("a table");
        Scene {
            inbox: inbox.expect("tables"),
            place,
        }
    }

    fn append(&self) -> String {
        format!(
            "INSERT INTO {}.effect (body) VALUES ($1)",
            self.place.schema
        )
    }

    async fn elapse(&self, time: Duration) {
        let client = self.place.client().await;
        let now = async || {
            let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
            let now = client.query_one(now, &[]).await.expect("a time");
            now.get::<_, i64>(0)
        };
        let from = now().await;
        let time = i64::try_from(time.as_micros()).expect("a short time");
        while now().await - from <= time {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn effects(&self) -> Vec<String> {
        let select = format!("SELECT body FROM {}.effect ORDER BY id", self.place.schema);
        let rows = self.place.client().await.query(&select, &[]).await;
        rows.expect("rows").iter().map(|row| row.get(0)).collect()
    }
}

fn end(script: Script) -> Result<(), BoxError> {
    match script {
        Script::Succeed => Ok(()),
        Script::Fail | Script::FailAndCommit => Err("told to fail".into()),
    }
}

/// What the work says in any of these is text.
fn said<E: std::fmt::Display>(error: E) -> BoxError {
    error.to_string().into()
}

fn commits<T>(script: Script, done: &Result<T, BoxError>) -> bool {
    done.is_ok() || script == Script::FailAndCommit
}

struct ByTokio(Scene);

struct BySqlx(Scene);

/// A subject over a driver: how a transaction begins and ends, and what work
/// does in it. `$tx` is what the inbox is lent.
macro_rules! subject {
    ($subject:ty, $on:ty, $connect:expr, $begin:expr, $append:expr, |$tx:ident| $lend:expr) => {
        impl Subject for $subject {
            const FORGETS: Forgets = Forgets::Pieces;

            async fn fresh(config: Config) -> Self {
                Self(Scene::new(config).await)
            }

            async fn once(
                &self,
                consumer: &str,
                delivery: &Delivery,
                script: Script,
            ) -> Result<Outcome<Bytes>, BoxError> {
                let (inbox, append) = (&self.0.inbox, self.0.append());
                let mut connection = $connect(&self.0).await;
                let mut $tx = $begin(&mut connection).await?;
                let work = async |tx: &mut $on| {
                    $append(tx, &append, delivery, script).await?;
                    Ok::<_, BoxError>(Bytes::from(delivery.body().to_ascii_uppercase()))
                };
                let done = inbox
                    .once_with_result($lend, consumer, delivery, work)
                    .await;
                let done = done.map_err(said);
                if commits(script, &done) {
                    $tx.commit().await?;
                } else {
                    $tx.rollback().await?;
                }
                done
            }

            async fn in_order(
                &self,
                consumer: &str,
                delivery: &Delivery,
                script: Script,
            ) -> Result<Ordered, BoxError> {
                let (inbox, append) = (&self.0.inbox, self.0.append());
                let mut connection = $connect(&self.0).await;
                let mut $tx = $begin(&mut connection).await?;
                let work =
                    async |tx: &mut $on, of: &Delivery| $append(tx, &append, of, script).await;
                let done = inbox.in_order($lend, consumer, delivery, work).await;
                let done = done.map_err(said);
                if commits(script, &done) {
                    $tx.commit().await?;
                } else {
                    $tx.rollback().await?;
                }
                done
            }

            async fn give_up_overdue(
                &self,
                consumer: &str,
                of: &Delivery,
            ) -> Result<(usize, Vec<Gap>), BoxError> {
                let (inbox, append) = (&self.0.inbox, self.0.append());
                let mut connection = $connect(&self.0).await;
                let mut $tx = $begin(&mut connection).await?;
                let stream = Stream::of(consumer, of).ok_or("no key")?;
                let work = async |tx: &mut $on, of: &Delivery| {
                    $append(tx, &append, of, Script::Succeed).await
                };
                let done = inbox.give_up_overdue($lend, &stream, work).await;
                $tx.commit().await?;
                done.map_err(said)
            }

            async fn begin(
                &self,
                consumer: &str,
                delivery: &Delivery,
            ) -> Result<Admission, BoxError> {
                let mut connection = $connect(&self.0).await;
                let mut $tx = $begin(&mut connection).await?;
                let done = self.0.inbox.begin($lend, consumer, delivery).await;
                $tx.commit().await?;
                done.map_err(said)
            }

            async fn failed(&self, consumer: &str, delivery: &Delivery) -> Result<(), BoxError> {
                let mut connection = $connect(&self.0).await;
                let mut $tx = $begin(&mut connection).await?;
                let done = self.0.inbox.failed($lend, consumer, delivery).await;
                $tx.commit().await?;
                done.map_err(said)
            }

            async fn quarantined(&self) -> Vec<Quarantined> {
                self.0.inbox.peek(100).await.expect("a quarantine")
            }

            async fn release(
                &self,
                consumer: &str,
                id: &Id,
                script: Script,
            ) -> Result<Option<Outcome<()>>, BoxError> {
                let (inbox, append) = (&self.0.inbox, self.0.append());
                let mut connection = $connect(&self.0).await;
                let mut $tx = $begin(&mut connection).await?;
                let work =
                    async |tx: &mut $on, of: &Delivery| $append(tx, &append, of, script).await;
                let done = inbox.release($lend, consumer, id, work).await;
                let done = done.map_err(said);
                if commits(script, &done) {
                    $tx.commit().await?;
                } else {
                    $tx.rollback().await?;
                }
                done
            }

            async fn discard(&self, consumer: &str, id: &Id) -> Result<bool, BoxError> {
                let mut connection = $connect(&self.0).await;
                let mut $tx = $begin(&mut connection).await?;
                let done = self.0.inbox.discard($lend, consumer, id).await;
                $tx.commit().await?;
                Ok(done?)
            }

            async fn sweep(&self, _: usize) -> Result<usize, BoxError> {
                Ok(self.0.inbox.sweep().await?.dropped.len())
            }

            async fn elapse(&self, time: Duration) {
                self.0.elapse(time).await;
            }

            async fn effects(&self) -> Vec<String> {
                self.0.effects().await
            }
        }
    };
}

async fn client(scene: &Scene) -> tokio_postgres::Client {
    scene.place.client().await
}

async fn begin_tokio(client: &mut tokio_postgres::Client) -> Result<Transaction<'_>, BoxError> {
    Ok(client.transaction().await?)
}

async fn append_tokio(
    tx: &mut Transaction<'_>,
    append: &str,
    delivery: &Delivery,
    script: Script,
) -> Result<(), BoxError> {
    let body = std::str::from_utf8(delivery.body())?;
    tx.execute(append, &[&body]).await?;
    end(script)
}

async fn connection(scene: &Scene) -> PgConnection {
    let connection = PgConnection::connect(&scene.place.url).await;
    connection.expect("PostgreSQL is there")
}

async fn begin_sqlx(
    connection: &mut PgConnection,
) -> Result<sqlx_core::transaction::Transaction<'_, Postgres>, BoxError> {
    Ok(connection.begin().await?)
}

async fn append_sqlx(
    tx: &mut PgConnection,
    append: &str,
    delivery: &Delivery,
    script: Script,
) -> Result<(), BoxError> {
    let body = std::str::from_utf8(delivery.body())?.to_owned();
    let append = query::<Postgres>(sqlx_core::sql_str::AssertSqlSafe(append.to_owned()));
    append.bind(body).execute(tx).await?;
    end(script)
}

subject!(
    ByTokio,
    Transaction<'_>,
    client,
    begin_tokio,
    append_tokio,
    |tx| &mut tx
);
subject!(
    BySqlx,
    PgConnection,
    connection,
    begin_sqlx,
    append_sqlx,
    |tx| &mut *tx
);

/// One test for each law and driver, so that a failure says which.
macro_rules! laws {
    ($($law:ident)+) => {
        mod by_tokio {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                if Place::find().await.is_some() {
                    conformance::$law::<ByTokio>().await;
                }
            })+
        }
        mod by_sqlx {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                if Place::find().await.is_some() {
                    conformance::$law::<BySqlx>().await;
                }
            })+
        }
    };
}

laws! {
    a_repeat_has_no_effect_and_is_answered_with_the_first_result
    repeats_at_the_same_time_have_one_effect
    each_consumer_handles_a_message_once
    what_fails_leaves_nothing_and_may_come_again
    a_result_that_is_too_long_leaves_nothing
    a_message_without_an_id_is_refused
    ids_are_equal_only_if_every_byte_is
    ids_are_forgotten_by_age_and_in_pieces
    a_key_is_handled_in_order_whatever_the_broker_does
    what_is_accepted_out_of_order_is_handled_once
    what_is_rejected_is_handled_when_it_comes_again
    streams_have_an_order_each
    a_failure_behind_a_gap_leaves_all_as_it_was
    a_gap_is_given_up_when_patience_is_at_its_end
    a_message_that_ends_processes_goes_to_quarantine
    an_attempt_of_which_one_hears_is_not_counted
    what_leaves_quarantine_is_handled_once_or_never
}
