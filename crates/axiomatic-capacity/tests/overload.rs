//! What becomes of an overloaded server: stories in virtual time, with load
//! shedding and without. A binary of its own, since it is one instrument.
//!
//! Every gate holds for every seed. The page `docs/overload.md` shows the
//! figures, and a test here compares it with what it would say now.
#![cfg(not(axiomatic_loom))]

#[path = "overload/judge.rs"]
mod judge;
#[path = "overload/page.rs"]
mod page;
#[path = "overload/run.rs"]
mod run;
#[path = "overload/servers.rs"]
mod servers;
#[path = "overload/stories.rs"]
mod stories;
#[path = "overload/world.rs"]
mod world;

use judge::failed;
use servers::{LAGGING, Pieces, REPORTS, SHEDDER, SIGNAL};
use stories::Tell;

/// The story goes well with shedding, and as badly as it is known to without.
#[track_caller]
fn holds(story: Tell) {
    let mut wrong = failed(story, story().with, |gate| Some(gate.bound));
    wrong.extend(failed(story, story().without, |gate| gate.without));
    assert!(wrong.is_empty(), "{}: {wrong:#?}", story().name);
}

#[test]
fn twice_the_load_leaves_its_goodput_and_what_matters_most() {
    holds(stories::double);
}

#[test]
fn ten_times_the_load_leaves_its_goodput() {
    holds(stories::ten_times);
}

#[test]
fn a_server_that_was_stuck_is_back_within_seconds_and_without_shedding_is_not() {
    holds(stories::stuck);
}

#[test]
fn a_retry_storm_ends_with_its_cause_and_without_shedding_does_not() {
    holds(stories::storm);
}

#[test]
fn it_follows_a_capacity_that_falls_to_a_quarter_and_comes_back() {
    holds(stories::quarter);
}

#[test]
fn a_queue_that_refuses_stands_too_far_inside_where_it_costs_to_come_there() {
    holds(stories::entrance);
}

#[test]
fn without_an_overload_nothing_is_refused() {
    holds(stories::steady);
}

#[test]
fn one_user_that_asks_for_most_does_not_take_it_from_the_others() {
    holds(stories::one_user);
}

#[test]
fn callers_that_come_when_they_are_told_to_do_not_come_together() {
    holds(stories::as_told);
}

/// Each of them learns enough, if not as much as together: also the shedder in
/// front of a queue that refuses nobody, and a signal that comes a second late,
/// which has it lower too far.
#[test]
fn a_signal_alone_does_and_so_do_reports_and_the_shedder_without_the_rest() {
    let mut wrong = Vec::new();
    for pieces in [&SIGNAL, &LAGGING, &REPORTS, &SHEDDER] as [&Pieces; 4] {
        for story in [stories::double as Tell, stories::storm] {
            let failed = failed(story, pieces, |gate| Some(gate.bound.of_a_piece()));
            wrong.extend(
                failed
                    .into_iter()
                    .map(|failed| format!("{}: {failed}", pieces.name)),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_page_shows_what_the_simulations_say() {
    page::compare_or_bless();
}
