//! Requests to the nodes that own their keys.

mod discovery;
mod dropped;
mod readiness;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::{Pin, pin};
use std::task::{Context as Task, Poll, Waker};

use axiomatic_core::context::{Choice, Endpoint};
use axiomatic_core::{BoxError, Carrier, Context};
use axiomatic_placement::consistent_hash::{
    Maglev, Membership, Node, Placement, PlacementError, Rendezvous, State,
};
use axiomatic_placement::router::{Router, Routes, Trouble};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use tower::Service;
use tower::discover::Change;

use crate::support::hashes;

/// Answers with the name of the node.
#[derive(Clone)]
struct Named(&'static str);

impl Service<u64> for Named {
    type Response = &'static str;
    type Error = Infallible;
    type Future = Ready<Result<&'static str, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Self::Future {
        ready(Ok(self.0))
    }
}

type ByKey = Router<Rendezvous, Named, fn(&u64) -> u64>;

type Found<S> = Result<Change<&'static str, S>, Infallible>;

fn rendezvous(nodes: &Membership) -> Result<Rendezvous, PlacementError> {
    Ok(Rendezvous::new(nodes))
}

fn by_key(key: &u64) -> u64 {
    *key
}

/// What a test holds: it says what is discovered.
struct Scene<P, S, D: Future + ?Sized> {
    found: UnboundedSender<Found<S>>,
    routes: Routes<P, S>,
    driver: Pin<Box<D>>,
}

fn scene<P: Placement, S: Clone>(
    place: impl FnMut(&Membership) -> Result<P, PlacementError>,
) -> Scene<P, S, impl Future<Output = Result<(), Infallible>>> {
    let (found, stream): (_, UnboundedReceiver<Found<S>>) = unbounded();
    let (routes, driver) = Routes::discovered(stream, place);
    Scene {
        found,
        routes,
        driver: Box::pin(driver),
    }
}

impl<P, S, D: Future<Output = Result<(), Infallible>>> Scene<P, S, D> {
    fn add(&self, name: &'static str, service: S) {
        self.found
            .unbounded_send(Ok(Change::Insert(name, service)))
            .unwrap();
    }

    fn remove(&self, name: &'static str) {
        self.found.unbounded_send(Ok(Change::Remove(name))).unwrap();
    }

    /// Whether discovery has ended.
    fn drive(&mut self) -> bool {
        let mut cx = Task::from_waker(Waker::noop());
        self.driver.as_mut().poll(&mut cx).is_ready()
    }
}

fn of_names<P: Placement>(
    place: impl FnMut(&Membership) -> Result<P, PlacementError>,
    names: &[&'static str],
) -> Scene<P, Named, impl Future<Output = Result<(), Infallible>>> {
    let mut scene = scene(place);
    names.iter().for_each(|name| scene.add(name, Named(name)));
    assert!(!scene.drive());
    scene
}

/// Of a service that answers at once.
fn ask<S, Req>(service: &mut S, request: Req) -> Result<S::Response, S::Error>
where
    S: Service<Req>,
{
    let mut cx = Task::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it does not answer at once"),
    }
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[test]
fn each_request_goes_to_the_owner_of_its_key() {
    let scene = of_names(rendezvous, &NAMES);
    let members = Membership::new(1, NAMES.map(Node::new)).unwrap();
    let placement = Rendezvous::new(&members);
    let mut router = scene.routes.router(by_key);
    let mut asked = BTreeMap::new();
    for hash in hashes(1).take(500) {
        let answer = ask(&mut router, hash).unwrap();
        assert_eq!(answer.as_bytes(), placement.owner(hash).id());
        *asked.entry(answer).or_insert(0) += 1;
    }
    assert_eq!(asked.len(), 5);
}

#[test]
fn only_requests_of_a_node_that_leaves_go_elsewhere() {
    let mut scene = of_names(rendezvous, &NAMES);
    let mut router = scene.routes.router(by_key);
    let keys: Vec<u64> = hashes(2).take(500).collect();
    let before: Vec<_> = keys
        .iter()
        .map(|key| ask(&mut router, *key).unwrap())
        .collect();
    scene.remove("c");
    assert!(!scene.drive());
    for (key, before) in keys.iter().zip(before) {
        let after = ask(&mut router, *key).unwrap();
        assert!(after == before || before == "c");
        assert_ne!(after, "c");
    }
}

#[test]
fn what_is_discovered_at_once_is_one_epoch() {
    let mut scene = of_names(rendezvous, &NAMES);
    assert_eq!(scene.routes.membership().unwrap().epoch(), 1);
    scene.remove("a");
    scene.add("f", Named("f"));
    scene.add("g", Named("g"));
    scene.drive();
    let members = scene.routes.membership().unwrap();
    assert_eq!((members.epoch(), members.members().len()), (2, 6));
    scene.drive();
    assert_eq!(scene.routes.membership().unwrap().epoch(), 2);
}

#[test]
fn a_node_that_comes_again_keeps_its_keys() {
    let mut scene = of_names(rendezvous, &NAMES);
    let mut router = scene.routes.router(by_key);
    let key = hashes(3)
        .find(|key| ask(&mut router, *key).unwrap() == "b")
        .unwrap();
    scene.add("b", Named("b again"));
    scene.drive();
    assert_eq!(ask(&mut router, key).unwrap(), "b again");
    assert_eq!(scene.routes.membership().unwrap().members().len(), 5);
}

/// A request that carries a context.
#[derive(Clone, Default)]
struct Carried {
    key: u64,
    context: Context,
    choice: Option<Choice>,
}

#[derive(Clone, Copy, Debug)]
struct Carries;

impl Carrier<Carried> for Carries {
    fn context(&self, request: &Carried) -> Context {
        request.context.clone()
    }

    fn set_context(&self, request: &mut Carried, context: Context) {
        request.context = context;
    }

    fn choice(&self, request: &Carried) -> Option<Choice> {
        request.choice.clone()
    }
}

impl Service<Carried> for Named {
    type Response = &'static str;
    type Error = Infallible;
    type Future = Ready<Result<&'static str, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Carried) -> Self::Future {
        ready(Ok(self.0))
    }
}

fn carrying<P: Placement>(
    routes: &Routes<P, Named>,
) -> Router<P, Named, impl Fn(&Carried) -> u64 + Clone + use<P>, BoxError, Carries> {
    routes
        .router(|request: &Carried| request.key)
        .with_binding(Carries)
}

#[test]
fn the_next_attempt_goes_to_the_next_candidate() {
    let scene = of_names(rendezvous, &NAMES);
    let placement = Rendezvous::new(&scene.routes.membership().unwrap());
    let mut router = carrying(&scene.routes);
    for key in hashes(4).take(50) {
        let candidates: Vec<_> = placement.candidates(key).collect();
        // After the last one it begins again.
        for attempt in 1..=12 {
            let context = Context::default().with_attempt(attempt);
            let request = Carried {
                key,
                context,
                choice: None,
            };
            let expected = candidates[(attempt as usize - 1) % 5];
            assert_eq!(ask(&mut router, request).unwrap().as_bytes(), expected.id());
        }
    }
}

#[test]
fn who_is_to_be_avoided_is_if_there_is_another() {
    let mut scene = of_names(rendezvous, &NAMES);
    let mut router = carrying(&scene.routes);
    let endpoint = |name: &str| Endpoint::from_bytes(name.as_bytes());
    for key in hashes(5).take(50) {
        let placement = Rendezvous::new(&scene.routes.membership().unwrap());
        let names: Vec<_> = placement
            .candidates(key)
            .map(|m| String::from_utf8_lossy(m.id()))
            .collect();
        let mut go = |attempt, avoided: [&str; 2]| {
            let context = Context::default().with_attempt(attempt);
            let context = avoided
                .iter()
                .fold(context, |context, name| context.avoiding(endpoint(name)));
            ask(
                &mut router,
                Carried {
                    key,
                    context,
                    choice: None,
                },
            )
            .unwrap()
        };
        assert_eq!(go(1, [&names[0], &names[2]]), names[1]);
        assert_eq!(go(2, [&names[0], &names[1]]), names[2]);
        // The last one is avoided, so the first one's turn comes.
        assert_eq!(go(5, [&names[4], &names[1]]), names[0]);
    }
    // Rather one that is to be avoided than nobody.
    ["b", "c", "d", "e"]
        .iter()
        .for_each(|name| scene.remove(name));
    scene.drive();
    let context = Context::default().avoiding(endpoint("a"));
    assert_eq!(
        ask(
            &mut router,
            Carried {
                context,
                ..Carried::default()
            }
        )
        .unwrap(),
        "a"
    );
}

#[test]
fn whoever_asks_is_told_which_node_it_was() {
    let scene = of_names(rendezvous, &NAMES);
    let mut router = carrying(&scene.routes);
    let choice = Choice::new();
    let request = Carried {
        key: 7,
        choice: Some(choice.clone()),
        ..Carried::default()
    };
    let answer = ask(&mut router, request).unwrap();
    assert_eq!(choice.told(), Some(Endpoint::from_bytes(answer.as_bytes())));
}

#[test]
fn what_cannot_be_placed_changes_nothing_and_is_told() {
    let mut scene = of_names(|nodes: &Membership| Maglev::with_slots(nodes, 5), &NAMES);
    let mut router = scene.routes.router(by_key);
    let before: Vec<_> = (0..5).map(|key| ask(&mut router, key).unwrap()).collect();
    scene.add("f", Named("f"));
    scene.drive();
    let trouble = Trouble::Placement(PlacementError::TooFewSlots { slots: 5, nodes: 6 });
    assert_eq!(scene.routes.trouble(), Some(trouble));
    let after: Vec<_> = (0..5).map(|key| ask(&mut router, key).unwrap()).collect();
    assert_eq!(before, after);
    scene.remove("e");
    scene.drive();
    assert_eq!(scene.routes.trouble(), None);
    assert_eq!(scene.routes.membership().unwrap().members().len(), 5);
}

#[test]
fn a_mark_stays_whatever_is_discovered_meanwhile() {
    let mut scene = of_names(rendezvous, &NAMES);
    let mut router = scene.routes.router(by_key);
    let keys: Vec<u64> = hashes(6).take(200).collect();
    let before: Vec<_> = keys
        .iter()
        .map(|key| ask(&mut router, *key).unwrap())
        .collect();
    scene.routes.mark("b", State::Down).unwrap();
    assert!(
        keys.iter()
            .all(|key| ask(&mut router, *key).unwrap() != "b")
    );
    scene.add("f", Named("f"));
    scene.drive();
    assert!(
        keys.iter()
            .all(|key| ask(&mut router, *key).unwrap() != "b")
    );
    scene.remove("f");
    scene.drive();
    scene.routes.mark("b", State::Up).unwrap();
    let after: Vec<_> = keys
        .iter()
        .map(|key| ask(&mut router, *key).unwrap())
        .collect();
    assert_eq!(before, after);
    assert!(scene.routes.mark("x", State::Down).is_err());
}

#[test]
fn nodes_are_as_they_are_described() {
    let found = NAMES.map(|name| Ok::<_, Infallible>(Change::Insert(name, Named(name))));
    let stream = futures::stream::iter(found);
    let describe = |name: &&'static str| Node::new(name).weighing(if *name == "a" { 0 } else { 1 });
    let (routes, driver) = Routes::described(stream, rendezvous, describe);
    futures::executor::block_on(driver).unwrap();
    let mut router = routes.router(by_key);
    assert!(
        hashes(7)
            .take(100)
            .all(|key| ask(&mut router, key).unwrap() != "a")
    );
}
