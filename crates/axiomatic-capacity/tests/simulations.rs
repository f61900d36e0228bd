//! What a limit does over minutes: eleven stories in virtual time, under each of
//! the algorithms. A binary of its own, since it is one instrument.
//!
//! Every gate holds for every seed, for the default. The others are run through
//! the same stories, and the page `docs/simulations.md` says what they fail; a
//! test here compares it with what it would say now.
#![cfg(not(axiomatic_loom))]

#[path = "simulations/judge.rs"]
mod judge;
#[path = "simulations/limiter.rs"]
mod limiter;
#[path = "simulations/page.rs"]
mod page;
#[path = "simulations/policies.rs"]
mod policies;
#[path = "simulations/run.rs"]
mod run;
#[path = "simulations/stories.rs"]
mod stories;
#[path = "simulations/throttle.rs"]
mod throttle;

use judge::{SEEDS, figures};
use policies::{AIMD, GRADIENT, SEEKER, VEGAS};
use stories::Tell;

/// Which gates an algorithm fails, and by what.
fn failed(story: Tell, policy: &str) -> Vec<String> {
    let mut failed = Vec::new();
    for (gate, figures) in story().gates.iter().zip(figures(story, policy)) {
        for (figure, seed) in figures.iter().zip(SEEDS) {
            if !gate.bound.holds(*figure) {
                let (promise, bound) = (gate.promise, gate.bound);
                failed.push(format!(
                    "{promise}: {figure} and not {bound:?}, seed {seed}"
                ));
            }
        }
    }
    failed
}

#[track_caller]
fn holds(story: Tell) {
    let failed = failed(story, SEEKER);
    assert!(failed.is_empty(), "{}: {failed:#?}", story().name);
}

#[test]
fn it_comes_within_a_tenth_of_the_optimum_after_a_step_up_and_a_step_down() {
    holds(stories::capacity_steps);
}

#[test]
fn it_recovers_from_the_loss_of_half_of_the_capacity() {
    holds(stories::half_lost);
}

#[test]
fn it_follows_a_capacity_that_falls_to_a_quarter() {
    holds(stories::most_lost);
}

#[test]
fn one_answer_ten_times_too_fast_does_not_collapse_it() {
    holds(stories::fast_outlier);
}

#[test]
fn it_does_not_grow_with_one_call_in_flight() {
    holds(stories::one_in_flight);
}

#[test]
fn two_clients_share_a_server_within_a_fifth() {
    holds(stories::two_clients);
}

/// That they do not share it equally is known, and said on the page.
#[test]
fn eight_clients_keep_a_server_busy_and_its_line_bounded() {
    let failed = failed(stories::eight_clients, SEEKER);
    let is_known = |failed: &&String| failed.contains("the least share of the greatest");
    let unknown: Vec<_> = failed.iter().filter(|failed| !is_known(failed)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(!failed.is_empty(), "the page may promise more");
}

#[test]
fn a_server_pinned_at_its_timeout_is_backed_off_and_come_back_to() {
    holds(stories::pinned);
}

#[test]
fn lasting_overload_does_not_make_it_drift() {
    holds(stories::long_overload);
}

#[test]
fn calls_that_take_twice_as_long_for_good_are_followed() {
    holds(stories::slower);
}

#[test]
fn probing_neither_pins_it_nor_costs_a_fiftieth() {
    holds(stories::steady_load);
}

/// What the default is for. If one of these changes, so does the argument.
#[test]
fn each_of_the_published_algorithms_fails_where_it_is_known_to() {
    for (story, policy) in [
        (stories::long_overload as Tell, GRADIENT),
        (stories::pinned, GRADIENT),
        (stories::capacity_steps, VEGAS),
        (stories::pinned, VEGAS),
        (stories::capacity_steps, AIMD),
        (stories::two_clients, AIMD),
    ] {
        let failed = failed(story, policy);
        assert!(!failed.is_empty(), "{policy} in {}", story().name);
    }
}

#[test]
fn the_page_shows_what_the_simulations_say() {
    page::compare_or_bless();
}
