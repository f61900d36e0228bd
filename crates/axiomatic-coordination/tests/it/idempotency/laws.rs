//! Idempotent requests in memory, held to the laws.

use std::time::Duration;

use axiomatic_coordination::idempotency::conformance::{self, Script, Subject};
use axiomatic_coordination::idempotency::{Claim, Claimed, MemoryIdempotency, PhaseError, Phases};
use axiomatic_coordination::{Memory, MemoryTransaction};
use axiomatic_core::BoxError;
use axiomatic_core::time::{Clock, ManualClock};

struct InMemory {
    store: MemoryIdempotency,
    clock: ManualClock,
}

/// Appends to the list.
fn append(tx: &mut MemoryTransaction<'_>, effect: &'static str) {
    let length = tx.read("length").map_or(0, |length| length.len());
    tx.put("length", vec![0; length + 1]);
    tx.put(format!("effect/{length:09}"), effect);
}

fn effects(database: &Memory) -> Vec<String> {
    let rows = database.read_all("effect/").into_iter();
    let texts = rows.map(|(_, text)| String::from_utf8_lossy(&text).into_owned());
    texts.collect()
}

impl Subject for InMemory {
    type Store = MemoryIdempotency;

    async fn fresh() -> Self {
        let clock = ManualClock::new();
        let database = Memory::with_clock(Clock::Manual(clock.clone()));
        InMemory {
            store: MemoryIdempotency::new(&database),
            clock,
        }
    }

    fn store(&self) -> MemoryIdempotency {
        self.store.clone()
    }

    async fn atomic(
        &self,
        phases: &Phases<MemoryIdempotency>,
        phase: &'static str,
        script: Script,
    ) -> Result<String, PhaseError<BoxError>> {
        let work = |tx: &mut MemoryTransaction<'_>| {
            append(tx, phase);
            match script {
                Script::Succeed => Ok(phase.to_uppercase()),
                Script::Fail => Err("as the script says".into()),
            }
        };
        phases.phase(phase).atomic(work).await
    }

    async fn claim_within_atomic(
        &self,
        _: &Phases<MemoryIdempotency>,
        _: &Claim<'_>,
    ) -> Option<Result<Claimed, BoxError>> {
        None
    }

    async fn elapse(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn effects(&self) -> Vec<String> {
        effects(self.store.database())
    }
}

macro_rules! laws {
    ($($(#[$attribute:meta])* async fn $law:ident();)*) => {$(
        $(#[$attribute])*
        async fn $law() {
            conformance::$law::<InMemory>().await;
        }
    )*};
}

laws! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_key_is_new_then_in_progress_then_completed();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn another_request_under_a_key_is_a_mismatch();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_first_claims_at_once_one_has_it();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_claim_asked_again_is_answered_as_before();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_claim_does_not_wait_for_an_atomic_phase();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn answers_are_repeated_to_the_byte();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_same_key_elsewhere_is_another();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn keys_are_equal_only_if_every_byte_is();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_longest_name_is_taken();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_lease_that_ended_is_followed_by_a_higher_epoch();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_lease_that_ended_is_held_until_another_follows();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_renewed_lease_does_not_end();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_is_written_for_a_lease_that_was_followed();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn only_who_has_the_lease_completes();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_complete_or_released_is_changed_no_more();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_released_request_goes_on_from_its_last_step();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn steps_are_kept_in_their_order();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_step_recorded_again_is_one();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_phase_that_fails_leaves_nothing();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_key_is_forgotten_when_its_retention_ends();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_key_whose_lease_is_held_is_not_forgotten();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn keys_are_forgotten_in_pieces();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn only_what_was_stored_and_abandoned_long_enough_is_adopted();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_abandoned_longest_is_adopted_first();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn requests_are_adopted_as_often_as_they_may_be_claimed();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn two_adopters_never_have_the_same();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_complete_or_forgotten_is_not_adopted();
}
