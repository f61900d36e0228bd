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
    ($($law:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $law() {
            conformance::$law::<InMemory>().await;
        }
    )*};
}

laws! {
    a_key_is_new_then_in_progress_then_completed
    another_request_under_a_key_is_a_mismatch
    of_first_claims_at_once_one_has_it
    a_claim_asked_again_is_answered_as_before
    a_claim_does_not_wait_for_an_atomic_phase
    answers_are_repeated_to_the_byte
    the_same_key_elsewhere_is_another
    keys_are_equal_only_if_every_byte_is
    a_lease_that_ended_is_followed_by_a_higher_epoch
    a_lease_that_ended_is_held_until_another_follows
    a_renewed_lease_does_not_end
    nothing_is_written_for_a_lease_that_was_followed
    only_who_has_the_lease_completes
    what_is_complete_or_released_is_changed_no_more
    a_released_request_goes_on_from_its_last_step
    steps_are_kept_in_their_order
    a_step_recorded_again_is_one
    a_phase_that_fails_leaves_nothing
    a_key_is_forgotten_when_its_retention_ends
    a_key_whose_lease_is_held_is_not_forgotten
    keys_are_forgotten_in_pieces
    only_what_was_stored_and_abandoned_long_enough_is_adopted
    what_is_abandoned_longest_is_adopted_first
    requests_are_adopted_as_often_as_they_may_be_claimed
    two_adopters_never_have_the_same
    what_is_complete_or_forgotten_is_not_adopted
}
