//! Idempotent requests in PostgreSQL, held to the laws of every store, with
//! atomic phases over both drivers.

use std::time::Duration;

use axiomatic_coordination::idempotency::conformance::{self, Script, Subject};
use axiomatic_coordination::idempotency::{Claim, Claimed, PhaseError, Phases, Store};
use axiomatic_core::BoxError;
use axiomatic_postgres::idempotency::{AtomicPhase, Idempotency};
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnection, Postgres};
use tokio_postgres::{Client, Transaction};

use crate::support::Place;

/// A database with the list of the laws.
struct Scene {
    place: Place,
    store: Idempotency,
    look: Client,
}

impl Scene {
    /// Nothing where there is no PostgreSQL: then the test was skipped before.
    async fn new() -> Self {
        let place = Place::find().await.expect("PostgreSQL is there");
        let store = Idempotency::new(&place.database()).await.expect("a table");
        let look = place.client().await;
        let table = format!(
            "CREATE TABLE {}.effect (id bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL)",
            place.schema
        );
        look.batch_execute(&table).await.expect("a table");
        Scene { place, store, look }
    }

    fn append(&self, name: &str) -> String {
        format!(
            "INSERT INTO {}.effect (name) VALUES ('{name}')",
            self.place.schema
        )
    }

    async fn elapse(&self, time: Duration) {
        let now = async || {
            let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
            let now = self.look.query_one(now, &[]).await.expect("a time");
            now.get::<_, i64>(0)
        };
        let from = now().await;
        let time = i64::try_from(time.as_micros()).expect("a short time");
        while now().await - from <= time {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn effects(&self) -> Vec<String> {
        let select = format!("SELECT name FROM {}.effect ORDER BY id", self.place.schema);
        let rows = self.look.query(&select, &[]).await;
        rows.expect("rows").iter().map(|row| row.get(0)).collect()
    }
}

fn end(phase: &str, script: Script) -> Result<String, BoxError> {
    match script {
        Script::Succeed => Ok(phase.to_uppercase()),
        Script::Fail => Err("as the script says".into()),
    }
}

struct ByTokio(Scene);

struct BySqlx(Scene);

/// A subject over a driver: how it connects, which method its phases have, and
/// what work does.
macro_rules! subject {
    ($subject:ty, $on:ty, $connect:expr, $atomic:ident, $execute:expr) => {
        impl Subject for $subject {
            type Store = Idempotency;

            async fn fresh() -> Self {
                Self(Scene::new().await)
            }

            fn store(&self) -> Idempotency {
                self.0.store.clone()
            }

            async fn atomic(
                &self,
                phases: &Phases<Idempotency>,
                phase: &'static str,
                script: Script,
            ) -> Result<String, PhaseError<BoxError>> {
                let append = self.0.append(phase);
                let mut connection = $connect(&self.0).await;
                let work = async |tx: &mut $on| {
                    $execute(tx, &append).await?;
                    end(phase, script)
                };
                phases.phase(phase).$atomic(&mut connection, work).await
            }

            async fn claim_within_atomic(
                &self,
                phases: &Phases<Idempotency>,
                claim: &Claim<'_>,
            ) -> Option<Result<Claimed, BoxError>> {
                let store = self.store();
                let mut connection = $connect(&self.0).await;
                let mut found = None;
                let work = async |_: &mut $on| {
                    found = Some(store.claim(claim).await.map_err(BoxError::from));
                    Ok::<_, BoxError>(())
                };
                let phase = phases.phase("within").$atomic(&mut connection, work);
                phase.await.expect("the phase ends");
                found
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

async fn client(scene: &Scene) -> Client {
    scene.place.client().await
}

async fn execute(tx: &mut Transaction<'_>, sql: &str) -> Result<(), BoxError> {
    Ok(tx.batch_execute(sql).await?)
}

async fn connection(scene: &Scene) -> PgConnection {
    let connection = PgConnection::connect(&scene.place.url).await;
    connection.expect("PostgreSQL is there")
}

async fn execute_by_sqlx(tx: &mut PgConnection, sql: &str) -> Result<(), BoxError> {
    let sql = query::<Postgres>(AssertSqlSafe(sql.to_owned()));
    sql.execute(tx).await?;
    Ok(())
}

subject!(ByTokio, Transaction<'_>, client, atomic, execute);
subject!(
    BySqlx,
    PgConnection,
    connection,
    atomic_with_sqlx,
    execute_by_sqlx
);

/// One test for each law, so that a failure says which; those that have phases
/// over both drivers.
macro_rules! laws {
    (
        without_phases { $(#[$test:meta] async fn $law:ident();)+ }
        with_phases { $(#[$with_test:meta] async fn $with_phases:ident();)+ }
    ) => {
        mod by_tokio {
            use super::*;
            laws!(ByTokio: $(#[$test] $law)+ $(#[$with_test] $with_phases)+);
        }
        mod by_sqlx {
            use super::*;
            laws!(BySqlx: $(#[$with_test] $with_phases)+);
        }
    };
    ($subject:ty: $(#[$test:meta] $law:ident)+) => {
        $(#[$test]
        async fn $law() {
            if Place::find().await.is_some() {
                conformance::$law::<$subject>().await;
            }
        })+
    };
}

laws! {
    without_phases {
        #[tokio::test(flavor = "multi_thread")]
        async fn a_key_is_new_then_in_progress_then_completed();
        #[tokio::test(flavor = "multi_thread")]
        async fn another_request_under_a_key_is_a_mismatch();
        #[tokio::test(flavor = "multi_thread")]
        async fn of_first_claims_at_once_one_has_it();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_claim_asked_again_is_answered_as_before();
        #[tokio::test(flavor = "multi_thread")]
        async fn answers_are_repeated_to_the_byte();
        #[tokio::test(flavor = "multi_thread")]
        async fn the_same_key_elsewhere_is_another();
        #[tokio::test(flavor = "multi_thread")]
        async fn keys_are_equal_only_if_every_byte_is();
        #[tokio::test(flavor = "multi_thread")]
        async fn the_longest_name_is_taken();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_lease_that_ended_is_followed_by_a_higher_epoch();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_lease_that_ended_is_held_until_another_follows();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_renewed_lease_does_not_end();
        #[tokio::test(flavor = "multi_thread")]
        async fn only_who_has_the_lease_completes();
        #[tokio::test(flavor = "multi_thread")]
        async fn what_is_complete_or_released_is_changed_no_more();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_step_recorded_again_is_one();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_key_is_forgotten_when_its_retention_ends();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_key_whose_lease_is_held_is_not_forgotten();
        #[tokio::test(flavor = "multi_thread")]
        async fn keys_are_forgotten_in_pieces();
        #[tokio::test(flavor = "multi_thread")]
        async fn only_what_was_stored_and_abandoned_long_enough_is_adopted();
        #[tokio::test(flavor = "multi_thread")]
        async fn what_is_abandoned_longest_is_adopted_first();
        #[tokio::test(flavor = "multi_thread")]
        async fn requests_are_adopted_as_often_as_they_may_be_claimed();
        #[tokio::test(flavor = "multi_thread")]
        async fn two_adopters_never_have_the_same();
        #[tokio::test(flavor = "multi_thread")]
        async fn what_is_complete_or_forgotten_is_not_adopted();
    }
    with_phases {
        #[tokio::test(flavor = "multi_thread")]
        async fn a_claim_does_not_wait_for_an_atomic_phase();
        #[tokio::test(flavor = "multi_thread")]
        async fn nothing_is_written_for_a_lease_that_was_followed();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_released_request_goes_on_from_its_last_step();
        #[tokio::test(flavor = "multi_thread")]
        async fn steps_are_kept_in_their_order();
        #[tokio::test(flavor = "multi_thread")]
        async fn a_phase_that_fails_leaves_nothing();
    }
}
