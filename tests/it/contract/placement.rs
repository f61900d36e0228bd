//! The router, with the service under test as its one node.
//!
//! It forwards no readiness, since which node is asked is known with the
//! request: the future readies that one's clone, as those of waiting layers
//! do. It refuses nothing, so the obligations of refusals do not concern it,
//! and its wait for a first node is judged in its crate's own tests.

use axiomatic_placement::consistent_hash::{Membership, PlacementError, Rendezvous};
use axiomatic_placement::router::{NoNodes, Router, Routes};
use futures::FutureExt;
use tower::layer::layer_fn;

use super::*;

impl From<NoNodes> for Typed {
    fn from(no_nodes: NoNodes) -> Self {
        unreachable!("{no_nodes}: there is one")
    }
}

/// Routes to one node.
fn routed<S: Clone>(service: S) -> Routes<Rendezvous, S> {
    let found = Ok::<_, Infallible>(tower::discover::Change::Insert("a", service));
    let stream = futures::stream::iter([found]);
    let place = |nodes: &Membership| Ok::<_, PlacementError>(Rendezvous::new(nodes));
    let (routes, driver) = Routes::discovered(stream, place);
    driver.now_or_never().unwrap().unwrap();
    routes
}

fn router<S: Clone, R>(service: S) -> Router<Rendezvous, S, fn(&R) -> u64> {
    routed(service).router(|_| 17)
}

#[test]
fn a_router_keeps_the_contract() {
    Contract::new(Class::Waiting, || Subject::from_fn(router)).assert();
}

#[test]
fn a_typed_router_keeps_the_contract() {
    Contract::new(Class::Waiting, || {
        Subject::from_fn(|inner| router(inner).with_error::<Typed>())
    })
    .assert();
}

#[test]
fn a_router_asks_for_nothing_but_clones() {
    let key = |_: &local::LocalRequest<'_>| 17;
    let layer = |inner: local::LocalClone| routed(inner).router(key);
    local::accepts_local_clone(&layer_fn(layer));
    local::accepts_local_clone(&layer_fn(|inner| layer(inner).with_error::<Typed>()));
}
