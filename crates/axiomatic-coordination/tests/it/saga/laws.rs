//! Sagas in memory, held to the laws.

use std::time::Duration;

use axiomatic_coordination::saga::conformance::{self, Script, Subject};
use axiomatic_coordination::saga::{MemorySagas, MemoryWork, SagaId};
use axiomatic_coordination::{Memory, MemoryTransaction};
use axiomatic_core::time::{Clock, ManualClock};

struct InMemory {
    store: MemorySagas,
    clock: ManualClock,
}

/// Appends to the list.
fn append(tx: &mut MemoryTransaction<'_>, effect: &'static str) {
    let length = tx.read("length").map_or(0, |length| length.len());
    tx.put("length", vec![0; length + 1]);
    tx.put(format!("effect/{length:09}"), effect);
}

impl Subject for InMemory {
    type Store = MemorySagas;

    async fn fresh() -> Self {
        let clock = ManualClock::new();
        let database = Memory::with_clock(Clock::Manual(clock.clone()));
        InMemory {
            store: MemorySagas::new(&database),
            clock,
        }
    }

    fn store(&self) -> MemorySagas {
        self.store.clone()
    }

    async fn elapse(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn work(&self, script: Script) -> MemoryWork {
        MemoryWork::new(move |tx| {
            append(tx, script.effect);
            if let Some(gate) = script.gate {
                gate.pass_blocking();
            }
            script.returns
        })
    }

    async fn effects(&self) -> Vec<String> {
        let rows = self.store.database().read_all("effect/").into_iter();
        let texts = rows.map(|(_, text)| String::from_utf8_lossy(&text).into_owned());
        texts.collect()
    }

    async fn damage(&self, _: SagaId) -> bool {
        false
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
    async fn who_attends_is_here_until_its_time_is_over();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_bucket_is_held_by_one_executor();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_claim_asked_again_is_answered_as_before();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_lease_that_ended_is_followed_by_a_greater_epoch();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn attending_prolongs_only_leases_that_have_not_ended();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_lease_is_given_back_by_who_holds_it();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_was_held_is_due_when_another_claims();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_saga_begins_with_what_it_was_given();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_saga_started_again_is_not_changed();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_saga_started_with_a_lease_is_held_by_it();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_saga_started_for_a_lease_that_is_lost_waits();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_deadline_is_counted_from_the_start();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_longest_due_are_taken_first();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_sagas_are_taken_than_asked_for();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_taken_is_not_taken_again();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_is_taken_for_a_lease_that_is_lost();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn loads_are_counted_until_the_saga_goes_forward();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_saga_that_cannot_be_read_costs_the_others_nothing();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_saga_is_loaded_as_it_was_taken();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn only_who_holds_the_lease_loads();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn records_are_kept_in_order_and_to_the_byte();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_is_appended_for_a_lease_that_is_lost();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_append_elsewhere_is_a_conflict();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_append_asked_again_is_one();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_change_sets_the_stage_and_the_result();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_saga_is_due_when_the_change_says();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn letters_keep_their_order_and_every_byte();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_letter_posted_again_is_one();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn letters_of_a_parked_saga_wait_for_its_time_or_for_another();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_letter_to_nobody_is_refused();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn mail_makes_a_saga_due_whatever_the_change_says();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_held_saga_with_mail_is_given_until_it_is_read();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn reading_throws_away_the_oldest_letters();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_waits_hears_that_there_is_something_to_do();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_effect_and_its_record_are_one();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn work_that_errs_leaves_nothing();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn work_is_not_run_for_a_lease_that_is_lost();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn work_is_not_run_elsewhere();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_follows_before_work_has_ended();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sagas_are_listed_in_the_order_of_their_ids();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sagas_are_counted_by_their_stage();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn only_what_has_ended_long_enough_ago_is_swept();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sagas_are_swept_in_pieces();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_is_swept_is_as_if_it_had_never_been();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_archived_is_found_and_otherwise_gone();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_two_that_are_archived_the_later_is_found();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_asks_first_has_it_until_its_saga_ends();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn those_who_share_have_it_together_and_pass_nobody();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_waits_hears_when_it_has_all();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_does_not_wait_stands_in_no_line();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_stands_in_line_waits_for_no_more();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_request_made_again_is_one();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_is_locked_for_a_lease_that_is_lost();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_ends_while_it_waits_leaves_the_line();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn work_that_ends_a_saga_leaves_its_lines();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_those_who_ask_at_once_each_has_its_turn();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_claims_at_once_one_has_the_bucket();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_starts_at_once_one_begins();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_takes_at_once_one_has_each_saga();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_appends_at_one_place_one_is_written();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn letters_posted_while_others_are_read_are_kept();
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_a_zombie_writes_is_not_among_what_its_followers_write();
}
