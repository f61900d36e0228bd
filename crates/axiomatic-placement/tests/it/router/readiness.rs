//! Who waits for the first node, and who is left when the last one goes.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Task, Poll, Wake, Waker};

use axiomatic_placement::consistent_hash::Rendezvous;
use axiomatic_placement::router::NoNodes;
use tower::Service;

use super::{ByKey, NAMES, Named, ask, by_key, of_names, rendezvous, scene};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_waits_for_the_first_node_is_woken_once_and_ready() {
    let mut scene = scene(rendezvous);
    assert!(!scene.drive());
    let router = || scene.routes.router(by_key as fn(&u64) -> u64);
    let mut routers = vec![router(), router(), router()];
    let counts: Vec<_> = routers.iter().map(|_| Arc::new(Count::default())).collect();
    let poll = |router: &mut ByKey, count: &Arc<Count>| {
        let waker = Waker::from(Arc::clone(count));
        router.poll_ready(&mut Task::from_waker(&waker)).is_ready()
    };
    for (router, count) in routers.iter_mut().zip(&counts) {
        // Asked twice, it waits once.
        assert!(!poll(router, count) && !poll(router, count));
    }
    // One changes the task that waits, and one leaves.
    let moved = Arc::new(Count::default());
    assert!(!poll(&mut routers[1], &moved));
    drop(routers.remove(2));

    scene.add("a", Named("a"));
    scene.drive();
    let woken: Vec<_> = counts
        .iter()
        .chain([&moved])
        .map(|count| count.0.load(Ordering::Relaxed))
        .collect();
    assert_eq!(woken, [1, 0, 0, 1]);
    assert!(poll(&mut routers[0], &counts[0]) && poll(&mut routers[1], &moved));
    scene.add("b", Named("b"));
    scene.drive();
    assert_eq!(moved.0.load(Ordering::Relaxed), 1);
}

#[test]
fn with_no_node_to_come_it_is_an_error() {
    let mut scene = scene::<Rendezvous, Named>(rendezvous);
    let mut router = scene.routes.router(by_key);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Task::from_waker(&waker);
    assert!(Service::<u64>::poll_ready(&mut router, &mut cx).is_pending());
    scene.found.close_channel();
    assert!(scene.drive());
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    match Service::<u64>::poll_ready(&mut router, &mut cx) {
        Poll::Ready(Err(error)) => assert!(error.is::<NoNodes>()),
        other => panic!("{other:?}"),
    }
    // A driver that is dropped discovers nothing any more either.
    let scene = super::scene::<Rendezvous, Named>(rendezvous);
    let mut router = scene.routes.router(by_key);
    drop(scene.driver);
    assert!(matches!(
        Service::<u64>::poll_ready(&mut router, &mut cx),
        Poll::Ready(Err(_))
    ));
}

#[test]
fn nodes_stay_when_discovery_ends() {
    let mut scene = of_names(rendezvous, &NAMES);
    let mut router = scene.routes.router(by_key);
    scene.found.close_channel();
    assert!(scene.drive());
    assert!(ask(&mut router, 3).is_ok());
}

#[test]
fn all_nodes_that_leave_leave_nobody_ready_until_one_comes() {
    let mut scene = of_names(rendezvous, &["a"]);
    let mut router = scene.routes.router(by_key);
    let mut cx = Task::from_waker(Waker::noop());
    assert!(Service::<u64>::poll_ready(&mut router, &mut cx).is_ready());
    scene.remove("a");
    scene.drive();
    // It was ready, and is called nevertheless.
    let failed = pin!(router.call(1)).poll(&mut cx);
    assert!(matches!(failed, Poll::Ready(Err(error)) if error.is::<NoNodes>()));
    assert!(Service::<u64>::poll_ready(&mut router, &mut cx).is_pending());
    scene.add("b", Named("b"));
    scene.drive();
    assert_eq!(ask(&mut router, 1).unwrap(), "b");
}
