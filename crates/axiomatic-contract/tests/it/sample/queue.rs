//! A waiting layer: a bulkhead with a queue, which repeats what fails once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use axiomatic_contract::{Request, Response};
use axiomatic_core::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use super::{Flaw, Pool, Slot};

#[derive(Clone)]
pub(crate) struct QueueLayer {
    pub(super) pool: Arc<Pool>,
    pub(super) flaw: Option<Flaw>,
}

impl<S> Layer<S> for QueueLayer {
    type Service = Queue<S>;

    fn layer(&self, inner: S) -> Queue<S> {
        Queue {
            inner,
            pool: Arc::clone(&self.pool),
            flaw: self.flaw,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Queue<S> {
    inner: S,
    pool: Arc<Pool>,
    flaw: Option<Flaw>,
}

impl<S> Service<Request> for Queue<S>
where
    S: Service<Request, Response = Response> + Clone + Unpin,
    S::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = QueueFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.flaw {
            Some(Flaw::QueuesReadied) => self.inner.poll_ready(cx).map_err(Into::into),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request) -> QueueFuture<S> {
        let clone = self.inner.clone();
        QueueFuture {
            service: match self.flaw {
                // The idiom for a service that was readied; wrong before a
                // queue.
                Some(Flaw::QueuesReadied) => std::mem::replace(&mut self.inner, clone),
                _ => clone,
            },
            inner: None,
            place: None,
            slot: None,
            request,
            repeats: 1,
            pool: Arc::clone(&self.pool),
            flaw: self.flaw,
        }
    }
}

pub(crate) struct QueueFuture<S: Service<Request>> {
    inner: Option<Pin<Box<S::Future>>>,
    service: S,
    place: Option<u64>,
    slot: Option<Slot>,
    request: Request,
    repeats: usize,
    pool: Arc<Pool>,
    flaw: Option<Flaw>,
}

impl<S: Service<Request>> QueueFuture<S> {
    fn poll_slot(&mut self, cx: &mut Context<'_>) -> Poll<Slot> {
        let mut state = self.pool.lock();
        if let Some(place) = self.place {
            if let Some(granted) = state.granted.iter().position(|id| *id == place) {
                state.granted.swap_remove(granted);
                self.place = None;
                return Poll::Ready(Slot(Arc::clone(&self.pool)));
            }
            if self.flaw != Some(Flaw::KeepsTheFirstWaker) {
                for waiter in state.queue.iter_mut().filter(|waiter| waiter.0 == place) {
                    waiter.1.clone_from(cx.waker());
                }
            }
            return Poll::Pending;
        }
        if state.taken < self.pool.limit {
            state.taken += 1;
            return Poll::Ready(Slot(Arc::clone(&self.pool)));
        }
        state.next += 1;
        let place = state.next;
        state.queue.push_back((place, cx.waker().clone()));
        self.place = Some(place);
        Poll::Pending
    }
}

impl<S> Future for QueueFuture<S>
where
    S: Service<Request, Response = Response> + Unpin,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.slot.is_none() {
            this.slot = Some(ready!(this.poll_slot(cx)));
        }
        loop {
            if this.inner.is_none() {
                let repeating = this.repeats == 0;
                let mut deaf = Context::from_waker(Waker::noop());
                let cx = match this.flaw {
                    Some(Flaw::LosesTheWakerOfRepeats) if repeating => &mut deaf,
                    _ => &mut *cx,
                };
                if !(repeating && this.flaw == Some(Flaw::RepeatsUnreadied)) {
                    ready!(this.service.poll_ready(cx)).map_err(Into::into)?;
                }
                this.inner = Some(Box::pin(this.service.call(this.request.clone())));
            }
            let result = ready!(this.inner.as_mut().unwrap().as_mut().poll(cx));
            this.inner = None;
            if result.is_err() && this.repeats > 0 {
                this.repeats -= 1;
                continue;
            }
            if let Some(slot) = this.slot.take() {
                give_back(slot, this.flaw);
            }
            return Poll::Ready(result.map_err(Into::into));
        }
    }
}

fn give_back(slot: Slot, flaw: Option<Flaw>) {
    slot.0.release(flaw);
    // Released already; what is left is one reference of a count that dies
    // with the test.
    std::mem::forget(slot);
}

impl<S: Service<Request>> Drop for QueueFuture<S> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut state = self.pool.lock();
        let granted = state.granted.iter().position(|id| *id == place);
        if let Some(granted) = granted {
            state.granted.swap_remove(granted);
            drop(state);
            if self.flaw == Some(Flaw::LosesItsTurn) {
                // Takes the slot back, forgetting that others wait for it.
                self.pool.lock().taken -= 1;
            } else {
                self.pool.release(None);
            }
        } else if self.flaw != Some(Flaw::StaysInTheQueue) {
            state.queue.retain(|waiter| waiter.0 != place);
        }
    }
}
