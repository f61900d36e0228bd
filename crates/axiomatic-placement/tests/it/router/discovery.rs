//! What becomes of epochs and states as nodes are discovered again.

use std::convert::Infallible;

use axiomatic_placement::consistent_hash::{Membership, Node, Rendezvous, State};
use axiomatic_placement::router::{Routes, Trouble};
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use tower::discover::Change;

use super::{NAMES, Named, ask, by_key, of_names, rendezvous};

#[test]
fn epochs_grow_even_when_all_have_left_between() {
    let mut scene = of_names(rendezvous, &NAMES);
    scene.routes.mark("a", State::Down).unwrap();
    let before = scene.routes.membership().unwrap().epoch();
    NAMES.iter().for_each(|name| scene.remove(name));
    scene.drive();
    scene.add("a", Named("a"));
    scene.drive();
    let after = scene.routes.membership().unwrap().epoch();
    assert!(after > before, "{after} after {before}");
}

#[test]
fn a_change_is_one_epoch_where_somebody_is_marked_too() {
    let mut scene = of_names(rendezvous, &NAMES);
    scene.routes.mark("a", State::Down).unwrap();
    assert_eq!(scene.routes.membership().unwrap().epoch(), 2);
    scene.add("f", Named("f"));
    scene.drive();
    assert_eq!(scene.routes.membership().unwrap().epoch(), 3);
}

#[test]
fn a_node_that_is_described_in_another_state_is_in_it() {
    type Key = (&'static str, State);
    type Found = Result<Change<Key, Named>, Infallible>;
    let (found, stream): (_, UnboundedReceiver<Found>) = unbounded();
    let describe = |key: &Key| Node::new(key.0).being(key.1);
    let (routes, driver) = Routes::described(stream, rendezvous, describe);
    let mut driver = Box::pin(driver);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut say = |name, state| {
        let change = Change::Insert((name, state), Named(name));
        found.unbounded_send(Ok(change)).unwrap();
        assert!(driver.as_mut().poll(&mut cx).is_pending());
    };
    let state = |name: &str| {
        let members = routes.membership().unwrap();
        members.state(members.get(name).unwrap())
    };
    say("a", State::Up);
    say("b", State::Up);
    say("b", State::Draining);
    assert_eq!((state("a"), state("b")), (State::Up, State::Draining));
    // What an operator has said of it goes on while that is described.
    routes.mark("b", State::Down).unwrap();
    say("b", State::Draining);
    say("c", State::Up);
    assert_eq!(state("b"), State::Down);
    say("b", State::Up);
    assert_eq!(state("b"), State::Up);
}

#[test]
fn a_placement_over_other_nodes_than_there_are_is_refused() {
    let other = Rendezvous::new(&Membership::new(1, ["x", "y", "z"].map(Node::new)).unwrap());
    let scene = of_names(move |_: &Membership| Ok(other.clone()), &["a"]);
    assert_eq!(scene.routes.trouble(), Some(Trouble::Elsewhere));
    assert!(scene.routes.membership().is_none());
}

#[test]
fn what_discovery_fails_with_ends_the_driver_and_nodes_stay() {
    let found = [Ok(Change::Insert("a", Named("a"))), Err("unreachable")];
    let (routes, driver) = Routes::discovered(futures::stream::iter(found), rendezvous);
    assert_eq!(futures::executor::block_on(driver), Err("unreachable"));
    assert_eq!(ask(&mut routes.router(by_key), 1).unwrap(), "a");
}
