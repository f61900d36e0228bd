//! The protocol of bucket leases, every state of it: relays that claim, lose
//! and release buckets, publish, settle and crash, in every order, under a
//! store that does what the trait `Store` says.
//!
//! A property that no model can break says nothing: so for each there is a
//! store or a relay with one thing wrong, and the test that a counterexample
//! is found. Each prints its size with `--nocapture`.
//!
//! # What the model leaves out
//!
//! - Time. A lease may expire at any step, and a relay may stand still for any
//!   number of steps while others move: that is a relay that is paused and
//!   goes on, so there is no step for it. Relays here have no clock and never
//!   stop by themselves; real ones do, and so do less than these.
//! - The distribution of buckets. Anybody claims anything at any step.
//! - The counting of started attempts.

mod lease_model {
    pub(crate) mod actions;
    pub(crate) mod properties;
    pub(crate) mod steps;
    pub(crate) mod world;
}

use stateright::{Checker, HasDiscoveries, Model};

use lease_model::properties::*;
use lease_model::world::{Protocol, Rule};

/// Explores everything, and says how much that was.
fn holds(protocol: &Protocol) {
    let checker = protocol.clone().checker().threads(2).spawn_bfs().join();
    println!("{protocol:?}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

/// Finds how a property is broken.
fn breaks(protocol: &Protocol, property: &'static str) {
    // The shortest one, which is found by looking no further each time than
    // one step more.
    let found = (1..40).find_map(|depth| {
        let checker = protocol.clone().checker().target_max_depth(depth);
        let only = HasDiscoveries::AnyOf([property].into());
        let checker = checker.finish_when(only).spawn_bfs().join();
        Some((checker.discovery(property)?, checker.unique_state_count()))
    });
    let (path, states) = found.expect("the model finds it");
    println!(
        "{:?} breaks \"{property}\" in {} steps, after {} states:",
        protocol.rule,
        path.clone().into_actions().len(),
        states,
    );
    for action in path.into_actions() {
        println!("    {action:?}");
    }
}

/// Two relays take one bucket from each other, in which a key has two
/// messages.
fn one_key() -> Protocol {
    Protocol {
        relays: 2,
        lanes: vec![0],
        messages: vec![0, 0],
        claims: 3,
        crashes: 1,
        unknowns: 1,
        refusals: 1,
        rule: Rule::Sound,
    }
}

/// With one of each thing that can go wrong on the way.
#[test]
fn one_hand_over_keeps_the_promise() {
    holds(&Protocol {
        claims: 2,
        ..one_key()
    });
}

/// Back and forth.
#[test]
fn two_hand_overs_keep_the_promise() {
    holds(&Protocol {
        crashes: 0,
        refusals: 0,
        ..one_key()
    });
}

#[test]
fn three_relays_keep_the_promise() {
    holds(&Protocol {
        relays: 3,
        crashes: 0,
        unknowns: 0,
        refusals: 0,
        ..one_key()
    });
}

#[test]
fn two_keys_of_one_bucket_keep_the_promise() {
    holds(&Protocol {
        lanes: vec![0, 0],
        messages: vec![0, 1],
        claims: 2,
        crashes: 0,
        unknowns: 0,
        ..one_key()
    });
}

#[test]
fn two_buckets_keep_the_promise() {
    holds(&Protocol {
        lanes: vec![0, 1],
        messages: vec![0, 1],
        crashes: 0,
        unknowns: 0,
        refusals: 0,
        ..one_key()
    });
}

/// All of that at once takes minutes: only if the variable is set.
#[test]
fn everything_at_once_keeps_the_promise() {
    if std::env::var_os("AXIOMATIC_DEEP").is_some() {
        holds(&one_key());
    }
}

#[test]
fn a_settlement_without_a_fence_is_found() {
    let rule = Rule::SettlesUnfenced;
    breaks(&Protocol { rule, ..one_key() }, LATE_SETTLEMENTS);
}

#[test]
fn a_lease_compared_before_the_change_is_found() {
    let rule = Rule::ChecksThenActs;
    breaks(&Protocol { rule, ..one_key() }, LATE_SETTLEMENTS);
}

#[test]
fn an_epoch_that_is_not_raised_is_found() {
    for property in [EPOCHS, ONE_HOLDER, LATE_SETTLEMENTS] {
        let rule = Rule::KeepsEpoch;
        breaks(&Protocol { rule, ..one_key() }, property);
    }
}

#[test]
fn an_expired_lease_that_nobody_can_take_is_found() {
    let rule = Rule::NeverTakesExpired;
    breaks(&Protocol { rule, ..one_key() }, PROGRESS);
}

#[test]
fn a_fetch_that_is_out_of_order_is_found() {
    let rule = Rule::FetchesAny;
    breaks(&Protocol { rule, ..one_key() }, ORDER);
}

#[test]
fn a_fetch_of_what_has_not_committed_is_found() {
    let rule = Rule::FetchesUncommitted;
    breaks(&Protocol { rule, ..one_key() }, COMMITTED);
}

#[test]
fn a_release_with_messages_in_flight_is_found() {
    let rule = Rule::ReleasesInFlight;
    breaks(&Protocol { rule, ..one_key() }, DUPLICATES);
}

#[test]
fn a_lost_confirmation_taken_for_one_is_found() {
    let rule = Rule::SettlesUnknown;
    breaks(&Protocol { rule, ..one_key() }, SETTLED);
}
