//! Idempotent requests in SQLite, held to the laws of every store.

use std::time::Duration;

use axiomatic_coordination::idempotency::conformance::{self, Script, Subject};
use axiomatic_coordination::idempotency::{Claim, Claimed, PhaseError, Phases, Store};
use axiomatic_core::BoxError;
use axiomatic_sqlite::idempotency::{AtomicPhase, Idempotency};
use axiomatic_sqlite::{Durability, Options};
use tokio::sync::oneshot;

use crate::support::Place;

struct Sqlite {
    place: Place,
    store: Idempotency,
}

impl Subject for Sqlite {
    type Store = Idempotency;

    async fn fresh() -> Self {
        let place = Place::new();
        let database = place.open(Options::new().durability(Durability::ProcessCrash));
        let store = Idempotency::new(&database).expect("a table");
        let table = "CREATE TABLE effect (id INTEGER PRIMARY KEY, phase TEXT NOT NULL)";
        place.look().execute_batch(table).expect("a table");
        Sqlite { place, store }
    }

    fn store(&self) -> Idempotency {
        self.store.clone()
    }

    async fn atomic(
        &self,
        phases: &Phases<Idempotency>,
        phase: &'static str,
        script: Script,
    ) -> Result<String, PhaseError<BoxError>> {
        let work = phases.phase(phase).atomic(move |tx| {
            tx.execute("INSERT INTO effect (phase) VALUES (?1)", [phase])?;
            match script {
                Script::Succeed => Ok(phase.to_uppercase()),
                Script::Fail => Err(BoxError::from("told to fail")),
            }
        });
        work.await
    }

    async fn claim_within_atomic(
        &self,
        phases: &Phases<Idempotency>,
        claim: &Claim<'_>,
    ) -> Option<Result<Claimed, BoxError>> {
        let (entered, within) = oneshot::channel();
        let (gate, closed) = std::sync::mpsc::channel::<()>();
        let hold = phases.phase("hold").atomic(move |_| {
            let _ = entered.send(());
            let _ = closed.recv();
            Ok::<_, BoxError>(())
        });
        let claim = async {
            within.await.expect("the work has begun");
            let found = self.store.claim(claim).await;
            drop(gate);
            found
        };
        let (held, found) = tokio::join!(hold, claim);
        held.expect("the phase ends");
        Some(found.map_err(BoxError::from))
    }

    async fn elapse(&self, time: Duration) {
        // SQLite's clock is the machine's, and tells milliseconds.
        let now = || {
            let now = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)";
            let now = self.place.look().query_row(now, (), |row| row.get(0));
            now.expect("a time")
        };
        let from: i64 = now();
        let time = i64::try_from(time.as_millis()).expect("a short time");
        while now() - from <= time {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn effects(&self) -> Vec<String> {
        let look = self.place.look();
        let mut select = look
            .prepare("SELECT phase FROM effect ORDER BY id")
            .expect("a table");
        let rows = select.query_map((), |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    }
}

/// One test for each law, so that a failure says which.
macro_rules! laws {
    ($(async fn $law:ident();)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $law() {
            conformance::$law::<Sqlite>().await;
        })+
    };
}

laws! {
    async fn a_key_is_new_then_in_progress_then_completed();
    async fn another_request_under_a_key_is_a_mismatch();
    async fn of_first_claims_at_once_one_has_it();
    async fn a_claim_asked_again_is_answered_as_before();
    async fn a_claim_does_not_wait_for_an_atomic_phase();
    async fn answers_are_repeated_to_the_byte();
    async fn the_same_key_elsewhere_is_another();
    async fn keys_are_equal_only_if_every_byte_is();
    async fn the_longest_name_is_taken();
    async fn a_lease_that_ended_is_followed_by_a_higher_epoch();
    async fn a_lease_that_ended_is_held_until_another_follows();
    async fn a_renewed_lease_does_not_end();
    async fn nothing_is_written_for_a_lease_that_was_followed();
    async fn only_who_has_the_lease_completes();
    async fn what_is_complete_or_released_is_changed_no_more();
    async fn a_released_request_goes_on_from_its_last_step();
    async fn steps_are_kept_in_their_order();
    async fn a_step_recorded_again_is_one();
    async fn a_phase_that_fails_leaves_nothing();
    async fn a_key_is_forgotten_when_its_retention_ends();
    async fn a_key_whose_lease_is_held_is_not_forgotten();
    async fn keys_are_forgotten_in_pieces();
    async fn only_what_was_stored_and_abandoned_long_enough_is_adopted();
    async fn what_is_abandoned_longest_is_adopted_first();
    async fn requests_are_adopted_as_often_as_they_may_be_claimed();
    async fn two_adopters_never_have_the_same();
    async fn what_is_complete_or_forgotten_is_not_adopted();
}
