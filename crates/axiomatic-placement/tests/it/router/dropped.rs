//! What a request holds, and what it asks of a service.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll, Waker};

use axiomatic_placement::router::{Driver, Routes};
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use tower::Service;
use tower::discover::Discover;

use super::{Found, Named, by_key, rendezvous, scene};

/// Ready after a while, answers never, and counts its clones; on one thread.
struct Slow {
    alive: Rc<()>,
    polled: Rc<RefCell<u32>>,
    /// Not `Clone` by derive, to count in one place.
    is_ready: bool,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        Slow {
            alive: Rc::clone(&self.alive),
            polled: Rc::clone(&self.polled),
            // Readiness is the instance's own.
            is_ready: false,
        }
    }
}

impl Service<u64> for Slow {
    type Response = ();
    type Error = Infallible;
    // Boxed, since a block that waits for ever has no type to name.
    type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        *self.polled.borrow_mut() += 1;
        self.is_ready = *self.polled.borrow() >= 3;
        if self.is_ready {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, _: u64) -> Self::Future {
        assert!(self.is_ready, "called without having been readied");
        let alive = Rc::clone(&self.alive);
        Box::pin(async move {
            pending::<()>().await;
            drop(alive);
            Ok(())
        })
    }
}

#[test]
fn a_dropped_request_leaves_nothing_behind() {
    let alive = Rc::new(());
    let slow = Slow {
        alive: Rc::clone(&alive),
        polled: Rc::default(),
        is_ready: false,
    };
    let mut scene = scene(rendezvous);
    scene.add("a", slow);
    scene.drive();
    let mut router = scene.routes.router(by_key);
    let mut cx = Task::from_waker(Waker::noop());
    let idle = Rc::strong_count(&alive);
    // Before its first poll, while its service is not ready, while it waits.
    for polls in 0..5 {
        assert!(Service::<u64>::poll_ready(&mut router, &mut cx).is_ready());
        let mut call = Box::pin(router.call(1));
        for _ in 0..polls {
            assert!(call.as_mut().poll(&mut cx).is_pending());
        }
        assert!(Rc::strong_count(&alive) > idle);
        drop(call);
        assert_eq!(Rc::strong_count(&alive), idle);
    }
}

#[test]
fn services_that_stay_on_their_thread_are_routed_too() {
    fn is_service<Req>(_: &impl Service<Req>) {}
    let slow = Slow {
        alive: Rc::default(),
        polled: Rc::default(),
        is_ready: false,
    };
    let mut scene = scene(rendezvous);
    scene.add("a", slow);
    scene.drive();
    is_service::<u64>(&scene.routes.router(by_key));
}

#[test]
fn routers_go_to_other_threads_where_services_do() {
    fn may<T: Send + Sync>(_: &T) {}
    fn driver_may<D: Discover, P, F, N>(_: &Driver<D, P, F, N>)
    where
        Driver<D, P, F, N>: Send,
    {
    }
    let (_found, stream): (_, UnboundedReceiver<Found<Named>>) = unbounded();
    let (routes, driver) = Routes::discovered(stream, rendezvous);
    may(&routes);
    may(&routes.router(by_key));
    driver_may(&driver);
}
