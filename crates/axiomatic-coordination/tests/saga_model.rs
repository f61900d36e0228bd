//! The protocol of sagas, every state of it: executors that take a bucket from
//! each other, write what they are about to do, do it in the saga's database
//! or elsewhere, write what came of it, are paused, crash, and hear no answer,
//! in every order, under a store that does what the trait `Store` says.
//!
//! A property that no model can break says nothing: so for each there is a
//! store, an executor or another side with one thing wrong, and the test that
//! a counterexample is found. Each prints its size with `--nocapture`.
//!
//! # What the model leaves out
//!
//! - Time. A lease may end at any step, and an executor may stand still for
//!   any number of steps while others move: that is one that is paused and
//!   goes on, so there is no step for it. Requests may arrive at any later
//!   step, or never.
//! - The machine, but for two steps, of which the first has an undo and the
//!   second is the pivot: that of any steps is held to its properties in unit
//!   tests.
//! - Operators, and undos that are stuck.
//! - The distribution of buckets. Anybody claims the one there is at any step.

mod saga_model {
    pub(crate) mod actions;
    pub(crate) mod outside;
    pub(crate) mod properties;
    pub(crate) mod steps;
    pub(crate) mod world;
}

use stateright::{Checker, HasDiscoveries, Model};

use saga_model::properties::*;
use saga_model::world::{Outside, Place, Protocol, Rule};

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
    println!(
        "{:?} breaks \"{property}\" in {} steps, after {} states:",
        protocol.rule,
        path.clone().into_actions().len(),
        checker.unique_state_count(),
    );
    for action in path.into_actions() {
        println!("    {action:?}");
    }
}

/// Finds that these properties are broken, and explores everything to see
/// that no other is.
fn breaks_only(protocol: &Protocol, properties: &[&'static str]) {
    let checker = protocol.clone().checker().threads(2).spawn_bfs().join();
    println!("{protocol:?}: {} states", checker.unique_state_count());
    let mut found: Vec<_> = checker.discoveries().into_keys().collect();
    found.sort_unstable();
    let mut properties = properties.to_vec();
    properties.sort_unstable();
    assert_eq!(found, properties);
}

const FOREIGN: [Place; 2] = [Place::Foreign, Place::Foreign];
const LOCAL: [Place; 2] = [Place::Local, Place::Local];

/// Two executors take one saga from each other, whose steps are elsewhere.
fn foreign() -> Protocol {
    Protocol {
        executors: 2,
        sagas: vec![FOREIGN],
        outside: Outside {
            knows_keys: true,
            remembers_undone: true,
            checks_tokens: true,
        },
        claims: 2,
        crashes: 1,
        unknowns: 1,
        refusals: 1,
        cancels: 1,
        rule: Rule::Sound,
    }
}

/// The same, with steps in the saga's database.
fn local() -> Protocol {
    Protocol {
        sagas: vec![LOCAL],
        ..foreign()
    }
}

#[test]
fn steps_elsewhere_happen_once_or_nothing_is_left() {
    holds(&foreign());
}

#[test]
fn steps_in_the_own_database_happen_once_or_nothing_is_left() {
    holds(&Protocol {
        claims: 3,
        ..local()
    });
}

#[test]
fn steps_of_both_kinds_happen_once_or_nothing_is_left() {
    for places in [
        [Place::Local, Place::Foreign],
        [Place::Foreign, Place::Local],
    ] {
        holds(&Protocol {
            sagas: vec![places],
            ..foreign()
        });
    }
}

/// Back and forth: an executor that was paused finds that it has the bucket
/// again, by another lease.
#[test]
fn two_hand_overs_keep_the_promise() {
    holds(&Protocol {
        claims: 3,
        crashes: 0,
        unknowns: 0,
        refusals: 0,
        ..foreign()
    });
}

#[test]
fn three_executors_keep_the_promise() {
    holds(&Protocol {
        executors: 3,
        claims: 3,
        crashes: 0,
        unknowns: 0,
        cancels: 0,
        ..foreign()
    });
}

#[test]
fn two_sagas_of_a_bucket_keep_the_promise() {
    holds(&Protocol {
        sagas: vec![LOCAL, [Place::Foreign, Place::Local]],
        crashes: 0,
        unknowns: 0,
        cancels: 0,
        ..foreign()
    });
}

/// The token is a second lock: keys alone keep the promise.
#[test]
fn keys_alone_keep_the_promise() {
    let outside = Outside {
        checks_tokens: false,
        ..foreign().outside
    };
    holds(&Protocol {
        outside,
        ..foreign()
    });
}

/// Two million states take minutes: only if the variable is set.
#[test]
fn two_hand_overs_with_crashes_keep_the_promise() {
    if std::env::var_os("AXIOMATIC_DEEP").is_some() {
        holds(&Protocol {
            claims: 3,
            crashes: 2,
            refusals: 0,
            ..foreign()
        });
    }
}

/// A token only keeps late requests away: of two of one lease, or of one that
/// was done before the bucket changed hands, it says nothing.
#[test]
fn tokens_alone_are_not_enough() {
    let outside = Outside {
        knows_keys: false,
        ..foreign().outside
    };
    let without_keys = Protocol {
        outside,
        ..foreign()
    };
    breaks(&without_keys, ONCE);
}

/// The action of which nothing was heard arrives after its undo.
#[test]
fn another_side_that_forgets_what_it_undid_is_found() {
    let outside = Outside {
        remembers_undone: false,
        ..foreign().outside
    };
    let forgetful = Protocol {
        outside,
        ..foreign()
    };
    for property in [UNDONE, NOTHING_LEFT] {
        breaks(&forgetful, property);
    }
}

#[test]
fn an_append_for_whoever_asks_is_found() {
    let rule = Rule::AppendsForAnyone;
    for protocol in [foreign(), local()] {
        for property in [HOLDER, CONFLICT] {
            breaks(
                &Protocol {
                    rule,
                    ..protocol.clone()
                },
                property,
            );
        }
    }
}

/// Nothing follows from it but that: whoever takes the bucket and whoever
/// appends lock the same row, so a line that is written after the lease has
/// ended is written before the next holder begins, which reads it. The
/// comparison is what the word of the lease is worth to whoever reads it, and
/// has an executor stop that is late. It is not what keeps the log whole.
#[test]
fn an_append_after_the_end_of_the_lease_breaks_the_word_of_the_lease_only() {
    let rule = Rule::AppendsAfterTheEnd;
    for protocol in [foreign(), local()] {
        let late = Protocol {
            crashes: 0,
            rule,
            ..protocol
        };
        breaks_only(&late, &[UNTIL]);
    }
}

#[test]
fn an_append_anywhere_is_found() {
    let rule = Rule::AppendsAnywhere;
    breaks(&Protocol { rule, ..foreign() }, ONE_LINE);
}

#[test]
fn local_work_without_a_fence_is_found() {
    let rule = Rule::WorksUnfenced;
    breaks(&Protocol { rule, ..local() }, LOCAL_ONCE);
    breaks(&Protocol { rule, ..local() }, NOTHING_LEFT);
}

#[test]
fn an_outcome_written_before_the_effect_is_found() {
    let rule = Rule::SaysDoneFirst;
    breaks(&Protocol { rule, ..foreign() }, DONE);
}

/// A crash forgets the effect, and the saga that is unwound leaves it.
#[test]
fn an_intent_that_is_not_written_is_found() {
    let rule = Rule::SaysNoIntent;
    breaks(&Protocol { rule, ..foreign() }, NOTHING_LEFT);
}

#[test]
fn a_key_that_follows_from_the_attempt_is_found() {
    let rule = Rule::KeysByAttempt;
    breaks(&Protocol { rule, ..foreign() }, ONCE);
    breaks(&Protocol { rule, ..foreign() }, NOTHING_LEFT);
}

#[test]
fn an_epoch_that_is_not_raised_is_found() {
    // The other side knows no keys: with them nothing comes of it.
    let outside = Outside {
        knows_keys: false,
        ..foreign().outside
    };
    let rule = Rule::KeepsEpoch;
    breaks(
        &Protocol {
            outside,
            rule,
            ..foreign()
        },
        LATE,
    );
}

#[test]
fn a_saga_that_is_left_to_who_held_it_is_found() {
    let rule = Rule::LeavesHeld;
    breaks(&Protocol { rule, ..foreign() }, PROGRESS);
}
