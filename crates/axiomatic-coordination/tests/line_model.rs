//! Lines for locks in a database whose transactions overlap, every state of
//! it: sagas that enter lines, look, wait, are told, leave, and tell the next,
//! each a step at a time and in every order; and those that die before they
//! have told.
//!
//! The protocol is that of PostgreSQL's store, where a statement sees what was
//! committed before it began and nothing of what others do meanwhile. Where
//! there is one writer, all of it is one step.
//!
//! A property that no model can break says nothing: so there are stores with
//! one thing wrong, and the test that a counterexample is found. Each prints
//! its size with `--nocapture`.
//!
//! # What the model leaves out
//!
//! - Leases. An operation that is fenced away has changed nothing.
//! - That gates are taken one after the other: they are taken in one order by
//!   all.

mod line_model {
    pub(crate) mod steps;
    pub(crate) mod world;
}

use stateright::{Checker, HasDiscoveries, Model};

use line_model::steps::{EVERYBODY_ENDS, NOBODY_FORGOTTEN, ONE_HAS_IT};
use line_model::world::{Lock, Protocol, Rule};

const A: Lock = Lock::alone(0);
const B: Lock = Lock::alone(1);
const SHARED_A: Lock = Lock::shared(0);

/// Explores everything, and says how much that was.
fn holds(protocol: &Protocol) {
    let checker = protocol.clone().checker().threads(2).spawn_bfs().join();
    println!("{protocol:?}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

/// Finds how a property is broken.
fn breaks(protocol: &Protocol, property: &'static str) {
    // By one thread, breadth first: what is found is short.
    let only = HasDiscoveries::AnyOf([property].into());
    let checker = protocol.clone().checker().finish_when(only);
    let checker = checker.spawn_bfs().join();
    let path = checker.discovery(property).expect("the model finds it");
    println!("{:?} breaks \"{property}\":", protocol.rule);
    for action in path.into_actions() {
        println!("    {action:?}");
    }
}

/// Three sagas that lock one thing.
fn one_thing() -> Protocol {
    Protocol {
        wants: vec![vec![vec![A]], vec![vec![A]], vec![vec![A]]],
        deaths: 1,
        give_ups: 1,
        rule: Rule::Sound,
    }
}

#[test]
fn those_who_lock_one_thing_have_it_in_turn() {
    holds(&one_thing());
}

#[test]
fn those_who_lock_two_things_at_once_have_them_in_turn() {
    holds(&Protocol {
        wants: vec![vec![vec![A, B]], vec![vec![A, B]], vec![vec![B]]],
        ..one_thing()
    });
}

#[test]
fn those_who_share_have_it_together() {
    holds(&Protocol {
        wants: vec![vec![vec![SHARED_A]], vec![vec![SHARED_A, B]], vec![vec![A]]],
        ..one_thing()
    });
}

#[test]
fn those_who_ask_for_each_others_end() {
    holds(&Protocol {
        wants: vec![vec![vec![A], vec![B]], vec![vec![B], vec![A]]],
        ..one_thing()
    });
}

/// One that wants what others have one by one, and who comes behind it.
#[test]
fn those_behind_one_who_waits_for_two_end() {
    holds(&Protocol {
        wants: vec![vec![vec![A]], vec![vec![A, B]], vec![vec![B], vec![A]]],
        ..one_thing()
    });
}

#[test]
fn lines_that_are_entered_without_a_gate_are_found() {
    let rule = Rule::NoGate;
    breaks(
        &Protocol {
            rule,
            ..one_thing()
        },
        ONE_HAS_IT,
    );
}

#[test]
fn a_place_that_is_drawn_before_the_gate_is_found() {
    let rule = Rule::DrawsFirst;
    breaks(
        &Protocol {
            rule,
            ..one_thing()
        },
        ONE_HAS_IT,
    );
}

#[test]
fn a_line_that_is_entered_without_a_second_look_is_found() {
    let rule = Rule::NoSecondLook;
    for property in [NOBODY_FORGOTTEN, EVERYBODY_ENDS] {
        let deaths = 0;
        breaks(
            &Protocol {
                rule,
                deaths,
                ..one_thing()
            },
            property,
        );
    }
}

#[test]
fn one_who_leaves_and_tells_nobody_is_found() {
    let rule = Rule::TellsNobody;
    for property in [NOBODY_FORGOTTEN, EVERYBODY_ENDS] {
        let deaths = 0;
        breaks(
            &Protocol {
                rule,
                deaths,
                ..one_thing()
            },
            property,
        );
    }
}

#[test]
fn a_death_that_nobody_heals_is_found() {
    let rule = Rule::HealsNothing;
    breaks(
        &Protocol {
            rule,
            ..one_thing()
        },
        EVERYBODY_ENDS,
    );
}

#[test]
fn sagas_that_have_some_and_wait_for_more_are_found() {
    let rule = Rule::WaitsForMore;
    let wants = vec![vec![vec![A], vec![B]], vec![vec![B], vec![A]]];
    breaks(
        &Protocol {
            rule,
            wants,
            give_ups: 0,
            ..one_thing()
        },
        EVERYBODY_ENDS,
    );
}

#[test]
fn places_that_are_told_as_soon_as_the_first_line_is_free_are_found() {
    let rule = Rule::TellsEarly;
    let wants = vec![vec![vec![A]], vec![vec![B]], vec![vec![A, B]]];
    breaks(
        &Protocol {
            rule,
            wants,
            ..one_thing()
        },
        ONE_HAS_IT,
    );
}
