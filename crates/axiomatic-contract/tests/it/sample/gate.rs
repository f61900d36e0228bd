//! A direct layer: a bulkhead that refuses.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use axiomatic_contract::{Request, Response};
use axiomatic_core::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use super::{Flaw, Pool, Slot, refusal};

#[derive(Clone)]
pub(crate) struct GateLayer {
    pub(super) pool: Arc<Pool>,
    pub(super) flaw: Option<Flaw>,
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        let pool = match self.flaw {
            Some(Flaw::StatePerLayer) => Pool::new(self.pool.limit),
            _ => Arc::clone(&self.pool),
        };
        Gate {
            inner,
            pool,
            readied: false,
            copied: false,
            failed: None,
            taken: Vec::new(),
            reserved: false,
            flaw: self.flaw,
        }
    }
}

pub(crate) struct Gate<S> {
    inner: S,
    pool: Arc<Pool>,
    readied: bool,
    /// It has its readiness from what it was cloned from.
    copied: bool,
    failed: Option<BoxError>,
    taken: Vec<Slot>,
    /// A slot taken, of which nothing else knows.
    reserved: bool,
    flaw: Option<Flaw>,
}

impl<S: Clone> Clone for Gate<S> {
    fn clone(&self) -> Self {
        let pool = match self.flaw {
            Some(Flaw::StatePerClone) => Pool::new(self.pool.limit),
            _ => Arc::clone(&self.pool),
        };
        let copied = self.readied && self.flaw == Some(Flaw::CopiesReadiness);
        Gate {
            inner: self.inner.clone(),
            pool,
            readied: copied,
            copied,
            failed: None,
            taken: Vec::new(),
            reserved: false,
            flaw: self.flaw,
        }
    }
}

impl<S> Gate<S> {
    fn reserves(&self) -> bool {
        matches!(
            self.flaw,
            Some(Flaw::ReservesInReadiness | Flaw::TakesAPermitAtEachPoll | Flaw::LeaksWhenReadied)
        )
    }
}

impl<S> Service<Request> for Gate<S>
where
    S: Service<Request, Response = Response> + Clone,
    S::Error: Into<BoxError> + std::fmt::Display,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = BoxError;
    type Future = GateFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let flaw = self.flaw;
        if flaw == Some(Flaw::NeverReady) {
            return Poll::Pending;
        }
        if self.reserves()
            && !self.reserved
            && (self.taken.is_empty() || flaw == Some(Flaw::TakesAPermitAtEachPoll))
        {
            match self.pool.take() {
                Some(slot) if flaw == Some(Flaw::LeaksWhenReadied) => {
                    // Released in `call`, and nowhere else.
                    std::mem::forget(slot);
                    self.reserved = true;
                }
                Some(slot) => self.taken.push(slot),
                None if flaw == Some(Flaw::TakesAPermitAtEachPoll) && !self.taken.is_empty() => {
                    return Poll::Pending;
                }
                None => return Poll::Ready(Ok(())),
            }
        } else if self.pool.is_full()
            && !self.reserved
            && self.taken.is_empty()
            && flaw != Some(Flaw::AsksBeforeRefusing)
        {
            return Poll::Ready(Ok(()));
        }
        if self.copied || flaw == Some(Flaw::RemembersReadiness) && self.readied {
            return Poll::Ready(Ok(()));
        }
        let ready = match flaw {
            Some(Flaw::LosesTheReadinessWaker) => self
                .inner
                .poll_ready(&mut Context::from_waker(Waker::noop())),
            Some(Flaw::WakesTwice) => {
                let waker = Waker::from(Arc::new(Twice(cx.waker().clone())));
                self.inner.poll_ready(&mut Context::from_waker(&waker))
            }
            _ => self.inner.poll_ready(cx),
        };
        match (ready, flaw) {
            (Poll::Pending, Some(Flaw::WakesItself)) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (Poll::Pending, Some(Flaw::IsReadyTooSoon)) => Poll::Ready(Ok(())),
            (Poll::Pending, _) => Poll::Pending,
            (Poll::Ready(Err(_)), Some(Flaw::SwallowsReadinessErrors)) => Poll::Ready(Ok(())),
            (Poll::Ready(Err(error)), Some(Flaw::RewordsReadinessErrors)) => {
                Poll::Ready(Err(reworded(&error)))
            }
            (Poll::Ready(Err(error)), Some(Flaw::ReportsReadinessErrorsLate)) => {
                self.failed = Some(error.into());
                Poll::Ready(Ok(()))
            }
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error.into())),
            (Poll::Ready(Ok(())), _) => {
                self.readied = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let flaw = self.flaw;
        if let Some(error) = self.failed.take() {
            return GateFuture::refused(error, flaw);
        }
        if !self.readied && flaw != Some(Flaw::CallsWhatItDidNotReady) {
            return GateFuture::refused(refusal(flaw), flaw);
        }
        let slot = if std::mem::take(&mut self.reserved) {
            Some(Slot(Arc::clone(&self.pool)))
        } else {
            self.taken.pop().or_else(|| self.pool.take())
        };
        let Some(slot) = slot else {
            if flaw == Some(Flaw::CallsThenRefuses) {
                self.readied = false;
                drop(self.inner.call(request));
            }
            if flaw == Some(Flaw::DropsWhatIsReadied) {
                self.readied = false;
                self.inner = self.inner.clone();
            }
            return GateFuture::refused(refusal(flaw), flaw);
        };
        self.readied = false;
        if flaw == Some(Flaw::MakesUpRequests) {
            request = Request::new(request.id() + 500_000);
        }
        // The guard comes first, so that a panic in `call` finds it.
        let mut future = GateFuture {
            inner: None,
            refused: None,
            slot: Some(slot),
            pool: Arc::clone(&self.pool),
            polled: false,
            pending: false,
            waker: None,
            flaw,
        };
        if flaw == Some(Flaw::LeaksOnPanic) {
            // Held by hand, and released at the end.
            std::mem::forget(future.slot.take());
        }
        future.inner = Some(Box::pin(match flaw {
            Some(Flaw::CallsAClone) => self.inner.clone().call(request),
            _ => self.inner.call(request),
        }));
        future
    }
}

pub(crate) struct GateFuture<F: Send + 'static> {
    pub(super) inner: Option<Pin<Box<F>>>,
    pub(super) refused: Option<BoxError>,
    slot: Option<Slot>,
    pool: Arc<Pool>,
    polled: bool,
    pending: bool,
    waker: Option<Waker>,
    flaw: Option<Flaw>,
}

impl<F: Send + 'static> GateFuture<F> {
    pub(super) fn refused(error: BoxError, flaw: Option<Flaw>) -> Self {
        GateFuture {
            inner: None,
            refused: Some(error),
            slot: None,
            pool: Pool::new(0),
            polled: false,
            pending: false,
            waker: None,
            flaw,
        }
    }
}

impl<F, E> Future for GateFuture<F>
where
    F: Future<Output = Result<Response, E>> + Send + 'static,
    E: Into<BoxError> + std::fmt::Display,
{
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polled = true;
        self.pending = false;
        if let Some(error) = self.refused.take() {
            return Poll::Ready(Err(error));
        }
        let flaw = self.flaw;
        let kept = self.waker.get_or_insert_with(|| cx.waker().clone()).clone();
        let twice = Waker::from(Arc::new(Twice(cx.waker().clone())));
        let waker = match flaw {
            Some(Flaw::LosesTheCallWaker) => Waker::noop(),
            Some(Flaw::KeepsTheFirstWaker) => &kept,
            Some(Flaw::WakesTwice) => &twice,
            _ => cx.waker(),
        };
        let mut inner_cx = Context::from_waker(waker);
        let inner = self.inner.as_mut().unwrap();
        let Poll::Ready(result) = inner.as_mut().poll(&mut inner_cx) else {
            if flaw == Some(Flaw::WakesItselfOverACall) {
                cx.waker().wake_by_ref();
            }
            self.pending = true;
            return Poll::Pending;
        };
        if flaw == Some(Flaw::PollsAgain) {
            let _ = inner.as_mut().poll(&mut inner_cx);
        }
        self.slot = None;
        Poll::Ready(match (result, flaw) {
            (Ok(response), Some(Flaw::MakesUpResponses)) => {
                Ok(Response::new(response.id() + 500_000))
            }
            (Ok(response), _) => Ok(response),
            (Err(error), Some(Flaw::RewordsErrors)) => Err(reworded(&error)),
            (Err(error), Some(Flaw::WrapsErrors)) => Err(Box::new(Wrapped(error.into()))),
            (Err(error), _) => Err(error.into()),
        })
    }
}

impl<F: Send + 'static> Drop for GateFuture<F> {
    fn drop(&mut self) {
        let called = self.inner.is_some() && !std::thread::panicking();
        match self.flaw {
            Some(Flaw::LeaksWhenUnpolled) if called && !self.polled => {
                std::mem::forget(self.slot.take());
            }
            Some(Flaw::LeaksWhenPolled) if called && self.pending => {
                std::mem::forget(self.slot.take());
            }
            Some(Flaw::LeaksWhileUnwinding) if std::thread::panicking() => {
                std::mem::forget(self.slot.take());
            }
            Some(Flaw::LeaksOnPanic) if called => {
                self.pool.release(None);
            }
            Some(Flaw::KeepsLosers) => {
                if let Some(inner) = self.inner.take() {
                    let mut state = self.pool.lock();
                    state.graveyard.push(Box::new(inner));
                }
            }
            _ => {}
        }
    }
}

fn reworded(error: &impl std::fmt::Display) -> BoxError {
    format!("inner: {error}").into()
}

#[derive(Debug)]
struct Wrapped(BoxError);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wrapped")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// Wakes what it wraps twice.
struct Twice(Waker);

impl Wake for Twice {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        self.0.wake_by_ref();
    }
}
