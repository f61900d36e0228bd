//! Services that ask a layer for nothing: no `Send`, no `'static`, no
//! `Clone`. That a layer takes them is a matter of compiling.
//!
//! ```
//! use axiomatic_contract::local;
//! use tower::timeout::TimeoutLayer;
//! use std::time::Duration;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # let _entered = runtime.enter();
//! local::accepts_local(&TimeoutLayer::new(Duration::from_secs(1)));
//! local::stays_send(&TimeoutLayer::new(Duration::from_secs(1)));
//! ```
//!
//! A layer that boxes what it is given, as `Send`, does not:
//!
//! ```compile_fail,E0277
//! use axiomatic_contract::local;
//! use tower::{layer::layer_fn, util::BoxCloneService};
//!
//! local::accepts_local_clone(&layer_fn(|inner: local::LocalClone| BoxCloneService::new(inner)));
//! ```

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Failure, Probe, Request};

/// A request that borrows, and can neither be sent nor cloned.
#[derive(Debug)]
pub struct LocalRequest<'a> {
    place: &'a Cell<u64>,
}

/// A response that borrows from its request, and can neither be sent nor
/// cloned.
#[derive(Debug)]
pub struct LocalResponse<'a> {
    place: &'a Cell<u64>,
    _not_send: Rc<()>,
}

/// A service that can be neither sent nor cloned, and whose futures borrow
/// from the request.
#[derive(Debug)]
pub struct Local {
    calls: Rc<Cell<u64>>,
}

/// The same, but for `Clone`: layers that wait or repeat need it.
#[derive(Clone, Debug)]
pub struct LocalClone {
    calls: Rc<Cell<u64>>,
}

/// The future of [`Local`] and [`LocalClone`].
pub struct LocalFuture<'a> {
    place: &'a Cell<u64>,
    calls: Rc<Cell<u64>>,
    _borrows: PhantomData<&'a mut ()>,
}

impl fmt::Debug for LocalFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFuture").finish_non_exhaustive()
    }
}

impl<'a> Future for LocalFuture<'a> {
    type Output = Result<LocalResponse<'a>, Failure>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.calls.set(self.calls.get() + 1);
        self.place.set(self.place.get() + 1);
        Poll::Ready(Ok(LocalResponse {
            place: self.place,
            _not_send: Rc::default(),
        }))
    }
}

macro_rules! serve {
    ($service:ty) => {
        impl<'a> Service<LocalRequest<'a>> for $service {
            type Response = LocalResponse<'a>;
            type Error = Failure;
            type Future = LocalFuture<'a>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: LocalRequest<'a>) -> LocalFuture<'a> {
                LocalFuture {
                    place: request.place,
                    calls: Rc::clone(&self.calls),
                    _borrows: PhantomData,
                }
            }
        }
    };
}

serve!(Local);
serve!(LocalClone);

/// Compiles, and gets a call through, if the layer asks no `Send`, `Sync`,
/// `Clone` or `'static` of the service, its requests, responses or futures.
///
/// # Panics
///
/// If the call does not get through at once.
pub fn accepts_local<L>(layer: &L)
where
    L: Layer<Local>,
    L::Service: for<'a> Service<LocalRequest<'a>, Response = LocalResponse<'a>>,
{
    let calls = Rc::default();
    call_once(layer.layer(Local {
        calls: Rc::clone(&calls),
    }));
    assert_eq!(calls.get(), 1, "the inner service is called once");
}

/// The same for a layer that has to clone the service and may clone nothing
/// else.
///
/// # Panics
///
/// If the call does not get through at once.
pub fn accepts_local_clone<L>(layer: &L)
where
    L: Layer<LocalClone>,
    L::Service: for<'a> Service<LocalRequest<'a>, Response = LocalResponse<'a>>,
{
    let calls = Rc::default();
    call_once(layer.layer(LocalClone {
        calls: Rc::clone(&calls),
    }));
    assert_eq!(calls.get(), 1, "the inner service is called once");
}

fn call_once<S>(mut service: S)
where
    S: for<'a> Service<LocalRequest<'a>, Response = LocalResponse<'a>>,
{
    let place = Cell::new(0);
    let mut cx = Context::from_waker(Waker::noop());
    // The errors may be of a type for each lifetime; that there is none is
    // all that is asked.
    let ready = service.poll_ready(&mut cx);
    assert!(matches!(ready, Poll::Ready(Ok(()))), "the service is ready");
    let future = pin!(service.call(LocalRequest { place: &place }));
    let Poll::Ready(Ok(response)) = future.poll(&mut cx) else {
        panic!("a service that answers at once does so through the layer");
    };
    assert_eq!(response.place.get(), 1, "the response borrows the request");
}

/// Compiles if the layer over a service that can be sent makes one that can,
/// with futures that can: nothing thread-bound was put in.
pub fn stays_send<L>(layer: &L)
where
    L: Layer<Probe> + Send + Sync + 'static,
    L::Service: Service<Request, Future: Send + 'static> + Send + 'static,
{
    // Nothing to do at run time; `layer` is taken so that its type need not
    // be written down.
    let _ = layer;
}
