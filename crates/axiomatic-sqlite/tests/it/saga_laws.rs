//! Sagas in SQLite, held to the laws of every store.

use std::time::Duration;

use axiomatic_coordination::saga::SagaId;
use axiomatic_coordination::saga::conformance::{self, Script, Subject};
use axiomatic_sqlite::saga::{SagaWork, Sagas};
use axiomatic_sqlite::{Durability, Options};

use crate::support::Place;

struct Sqlite {
    place: Place,
    store: Sagas,
}

impl Subject for Sqlite {
    type Store = Sagas;

    async fn fresh() -> Self {
        let place = Place::new();
        let database = place.open(Options::new().durability(Durability::ProcessCrash));
        let store = Sagas::new(&database).expect("tables");
        let table = "CREATE TABLE effect (id INTEGER PRIMARY KEY, what TEXT NOT NULL)";
        place.look().execute_batch(table).expect("a table");
        Sqlite { place, store }
    }

    fn store(&self) -> Sagas {
        self.store.clone()
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

    fn work(&self, script: Script) -> SagaWork {
        SagaWork::new(move |tx| {
            tx.execute("INSERT INTO effect (what) VALUES (?1)", [script.effect])?;
            if let Some(gate) = script.gate {
                gate.pass_blocking();
            }
            script.returns
        })
    }

    async fn effects(&self) -> Vec<String> {
        let look = self.place.look();
        let mut select = look
            .prepare("SELECT what FROM effect ORDER BY id")
            .expect("a table");
        let rows = select.query_map((), |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    }

    async fn damage(&self, saga: SagaId) -> bool {
        let damage = "UPDATE saga SET stage = 'what' WHERE saga = ?1";
        let damaged = self.place.look().execute(damage, [saga.0.as_bytes()]);
        damaged.expect("can be written") == 1
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
    async fn who_attends_is_here_until_its_time_is_over();
    async fn a_bucket_is_held_by_one_executor();
    async fn a_claim_asked_again_is_answered_as_before();
    async fn a_lease_that_ended_is_followed_by_a_greater_epoch();
    async fn attending_prolongs_only_leases_that_have_not_ended();
    async fn a_lease_is_given_back_by_who_holds_it();
    async fn what_was_held_is_due_when_another_claims();
    async fn a_saga_begins_with_what_it_was_given();
    async fn a_saga_started_again_is_not_changed();
    async fn a_saga_started_with_a_lease_is_held_by_it();
    async fn a_saga_started_for_a_lease_that_is_lost_waits();
    async fn a_deadline_is_counted_from_the_start();
    async fn the_longest_due_are_taken_first();
    async fn no_more_sagas_are_taken_than_asked_for();
    async fn what_is_taken_is_not_taken_again();
    async fn nothing_is_taken_for_a_lease_that_is_lost();
    async fn loads_are_counted_until_the_saga_goes_forward();
    async fn a_saga_that_cannot_be_read_costs_the_others_nothing();
    async fn a_saga_is_loaded_as_it_was_taken();
    async fn only_who_holds_the_lease_loads();
    async fn records_are_kept_in_order_and_to_the_byte();
    async fn nothing_is_appended_for_a_lease_that_is_lost();
    async fn an_append_elsewhere_is_a_conflict();
    async fn an_append_asked_again_is_one();
    async fn a_change_sets_the_stage_and_the_result();
    async fn a_saga_is_due_when_the_change_says();
    async fn letters_keep_their_order_and_every_byte();
    async fn a_letter_posted_again_is_one();
    async fn letters_of_a_parked_saga_wait_for_its_time_or_for_another();
    async fn a_letter_to_nobody_is_refused();
    async fn mail_makes_a_saga_due_whatever_the_change_says();
    async fn a_held_saga_with_mail_is_given_until_it_is_read();
    async fn reading_throws_away_the_oldest_letters();
    async fn who_waits_hears_that_there_is_something_to_do();
    async fn an_effect_and_its_record_are_one();
    async fn work_that_errs_leaves_nothing();
    async fn work_is_not_run_for_a_lease_that_is_lost();
    async fn work_is_not_run_elsewhere();
    async fn nobody_follows_before_work_has_ended();
    async fn sagas_are_listed_in_the_order_of_their_ids();
    async fn sagas_are_counted_by_their_stage();
    async fn only_what_has_ended_long_enough_ago_is_swept();
    async fn sagas_are_swept_in_pieces();
    async fn who_is_swept_is_as_if_it_had_never_been();
    async fn what_is_archived_is_found_and_otherwise_gone();
    async fn of_two_that_are_archived_the_later_is_found();
    async fn who_asks_first_has_it_until_its_saga_ends();
    async fn those_who_share_have_it_together_and_pass_nobody();
    async fn whoever_waits_hears_when_it_has_all();
    async fn who_does_not_wait_stands_in_no_line();
    async fn who_stands_in_line_waits_for_no_more();
    async fn a_request_made_again_is_one();
    async fn nothing_is_locked_for_a_lease_that_is_lost();
    async fn who_ends_while_it_waits_leaves_the_line();
    async fn work_that_ends_a_saga_leaves_its_lines();
    async fn of_those_who_ask_at_once_each_has_its_turn();
    async fn of_claims_at_once_one_has_the_bucket();
    async fn of_starts_at_once_one_begins();
    async fn of_takes_at_once_one_has_each_saga();
    async fn of_appends_at_one_place_one_is_written();
    async fn letters_posted_while_others_are_read_are_kept();
    async fn what_a_zombie_writes_is_not_among_what_its_followers_write();
}
