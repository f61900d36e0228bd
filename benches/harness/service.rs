//! Calling a tower service with no runtime in between.

use std::cell::RefCell;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Runtime;
use tower_service::Service;

/// A service that is always ready and answers at once with its request.
#[derive(Debug)]
pub(crate) struct Bare<E>(PhantomData<fn() -> E>);

impl<E> Bare<E> {
    pub(crate) const fn new() -> Self {
        Bare(PhantomData)
    }
}

impl<E> Clone for Bare<E> {
    fn clone(&self) -> Self {
        Bare::new()
    }
}

impl<E> Service<u64> for Bare<E> {
    type Response = u64;
    type Error = E;
    type Future = Ready<Result<u64, E>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// `ready().await` and `call().await`, polled by hand with a waker that does
/// nothing: the service's own cost and nobody else's. Inlined into each
/// subject, also where set-up calls it as well.
#[inline(always)]
pub(crate) fn by_hand<S: Service<u64>>(service: &mut S) -> Result<S::Response, S::Error> {
    let mut context = Context::from_waker(Waker::noop());
    match service.poll_ready(&mut context) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(error)) => return Err(error),
        Poll::Pending => parked(|context| service.poll_ready(context))?,
    }
    // Not by `poll_by_hand`, which would move the future once more.
    let mut future = pin!(service.call(black_box(1)));
    match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => parked(|context| future.as_mut().poll(context)),
    }
}

/// A future's output, polled by hand. Who is pending after all (an async lock
/// that two threads meet at) waits parked.
#[inline]
pub(crate) fn poll_by_hand<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => parked(|context| future.as_mut().poll(context)),
    }
}

#[cold]
fn parked<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    thread_local! {
        static WAKER: RefCell<Waker> =
            RefCell::new(Waker::from(Arc::new(Unpark(thread::current()))));
    }
    let waker = WAKER.with_borrow(Waker::clone);
    let mut context = Context::from_waker(&waker);
    loop {
        match poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// A runtime of the calling thread, with a clock.
pub(crate) fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime")
}

/// Enters a runtime for the rest of the thread's life, for those who make a
/// timer that they then do not need.
pub(crate) fn enter_a_runtime() {
    thread_local!(static ENTERED: () = {
        let runtime = Box::leak(Box::new(runtime()));
        std::mem::forget(runtime.enter());
    });
    ENTERED.with(|()| ());
}
