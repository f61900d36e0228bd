//! The floor of whatever is made of slots, and how to have peers run out of
//! theirs.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Waker};

use tower_service::Service;

use super::Line;

/// Slots that are taken by one exchange and given back by one subtraction:
/// how many are taken, over the limit in the lower half of the word.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Line>);

const SHIFT: u32 = 32;

impl Slots {
    pub(crate) fn new(limit: u32) -> Self {
        Slots(Arc::new(Line(u64::from(limit).into())))
    }

    #[inline]
    pub(crate) fn take(&self, weight: u32) -> bool {
        let mut seen = self.0.0.load(Relaxed);
        loop {
            if (seen >> SHIFT) + u64::from(weight) > seen & u64::from(u32::MAX) {
                return false;
            }
            let more = seen + (u64::from(weight) << SHIFT);
            match self.0.0.compare_exchange_weak(seen, more, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes slots, whether they are there or not.
    #[inline]
    pub(crate) fn take_beyond(&self, weight: u32) {
        self.0.0.fetch_add(u64::from(weight) << SHIFT, Acquire);
    }

    #[inline]
    pub(crate) fn give_back(&self, weight: u32) {
        self.0.0.fetch_sub(u64::from(weight) << SHIFT, Release);
    }

    /// A reference for the time of a call: the one that this thread kept.
    #[inline]
    pub(crate) fn hold(&self) -> Kept {
        let kept = KEPT.take().filter(|kept| Arc::ptr_eq(kept, &self.0));
        Kept(Some(kept.unwrap_or_else(|| self.0.clone())))
    }

    /// A reference that is counted, and nobody keeps.
    #[inline]
    pub(crate) fn count(&self) -> Slots {
        self.clone()
    }
}

thread_local!(static KEPT: Cell<Option<Arc<Line>>> = const { Cell::new(None) });

/// A reference that goes back to its thread.
pub(crate) struct Kept(Option<Arc<Line>>);

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        drop(KEPT.replace(self.0.take()));
    }
}

/// A service that answers at once with its request, but never answers
/// [`FOREVER`](Busy::FOREVER).
#[derive(Copy, Clone)]
pub(crate) struct Busy;

impl Busy {
    pub(crate) const FOREVER: u64 = 0;
}

impl Service<u64> for Busy {
    type Response = u64;
    type Error = Infallible;
    type Future = BusyFuture;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> BusyFuture {
        BusyFuture(request)
    }
}

pub(crate) struct BusyFuture(u64);

impl Future for BusyFuture {
    type Output = Result<u64, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {
            Busy::FOREVER => Poll::Pending,
            answer => Poll::Ready(Ok(answer)),
        }
    }
}

/// Makes a call that is never answered, around a [`Busy`] service: what it
/// takes is not given back.
pub(crate) fn occupy<S: Service<u64>>(service: &mut S) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let mut future = Box::pin(service.call(Busy::FOREVER));
    assert!(future.as_mut().poll(&mut context).is_pending());
    std::mem::forget(future);
}

/// Has a service ready for ever: a slot that readiness takes is not given
/// back.
pub(crate) fn keep_ready<S: Service<u64>>(mut service: S) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    std::mem::forget(service);
}
