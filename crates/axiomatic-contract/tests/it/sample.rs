//! Three small layers that keep the contract, and the flaws that can be put
//! into them one at a time. Between a layer that passes and one that does not
//! there is one branch.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker, ready};

use axiomatic_contract::{Request, Response, Subject};
use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
use tower_layer::Layer;
use tower_service::Service;

/// One way to be wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    NeverReady,
    CallsAClone,
    CallsWhatItDidNotReady,
    RepeatsUnreadied,
    CopiesReadiness,
    TakesAPermitAtEachPoll,
    SwallowsReadinessErrors,
    RewordsReadinessErrors,
    ReportsReadinessErrorsLate,
    WakesItself,
    WakesItselfOverACall,
    LosesTheReadinessWaker,
    LosesTheCallWaker,
    WakesTwice,
    WakesNobodyInTheQueue,
    WakesEverybodyInTheQueueTwice,
    KeepsTheFirstWaker,
    PollsAgain,
    MakesUpResponses,
    MakesUpRequests,
    RewordsErrors,
    WrapsErrors,
    LeaksWhenUnpolled,
    LeaksWhenPolled,
    LeaksWhenReadied,
    StaysInTheQueue,
    LosesItsTurn,
    KeepsLosers,
    LeaksOnPanic,
    ReservesInReadiness,
    StatePerLayer,
    StatePerClone,
    CallsThenRefuses,
    RefusesInWords,
    DropsWhatIsReadied,
    AsksBeforeRefusing,
    QueuesReadied,
    KeepsItsPlace,
}

/// A count of slots, and those who wait for one.
struct Pool {
    limit: usize,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    taken: usize,
    closed: bool,
    next: u64,
    queue: VecDeque<(u64, Waker)>,
    /// Waiters whose slot was taken for them.
    granted: Vec<u64>,
    /// Futures that should be dead.
    graveyard: Vec<Box<dyn Send>>,
}

impl Pool {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Pool {
            limit,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap()
    }

    fn is_full(&self) -> bool {
        let state = self.lock();
        state.closed || state.taken >= self.limit
    }

    fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        if state.closed || state.taken >= self.limit {
            return None;
        }
        state.taken += 1;
        Some(Slot(Arc::clone(self)))
    }

    /// Slots and waiters, as the mechanism's own count.
    fn held(&self) -> usize {
        let state = self.lock();
        state.taken + state.queue.len()
    }

    /// Gives a slot back or on to the next in the queue.
    fn release(&self, flaw: Option<Flaw>) {
        let mut state = self.lock();
        let Some((waiter, waker)) = state.queue.pop_front() else {
            state.taken -= 1;
            return;
        };
        state.granted.push(waiter);
        drop(state);
        match flaw {
            Some(Flaw::WakesNobodyInTheQueue) => {}
            Some(Flaw::WakesEverybodyInTheQueueTwice) => {
                waker.wake_by_ref();
                waker.wake();
            }
            _ => waker.wake(),
        }
    }
}

struct Slot(Arc<Pool>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.release(None);
    }
}

fn refusal(flaw: Option<Flaw>) -> BoxError {
    match flaw {
        Some(Flaw::RefusesInWords) => "no".into(),
        _ => Rejected::new(Pattern::Bulkhead, Reason::Full).into(),
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

// A direct layer: a bulkhead that refuses.

#[derive(Clone)]
pub(crate) struct GateLayer {
    pool: Arc<Pool>,
    flaw: Option<Flaw>,
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
        Gate {
            inner: self.inner.clone(),
            pool,
            readied: self.readied && self.flaw == Some(Flaw::CopiesReadiness),
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
        if flaw == Some(Flaw::CopiesReadiness) && self.readied {
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
    inner: Option<Pin<Box<F>>>,
    refused: Option<BoxError>,
    slot: Option<Slot>,
    pool: Arc<Pool>,
    polled: bool,
    pending: bool,
    waker: Option<Waker>,
    flaw: Option<Flaw>,
}

impl<F: Send + 'static> GateFuture<F> {
    fn refused(error: BoxError, flaw: Option<Flaw>) -> Self {
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
                std::mem::forget(self.slot.take())
            }
            Some(Flaw::LeaksWhenPolled) if called && self.pending => {
                std::mem::forget(self.slot.take())
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

// A waiting layer: a bulkhead with a queue, which repeats what fails once.

#[derive(Clone)]
pub(crate) struct QueueLayer {
    pool: Arc<Pool>,
    flaw: Option<Flaw>,
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
            if self.flaw != Some(Flaw::KeepsTheFirstWaker)
                && let Some(waiter) = state.queue.iter_mut().find(|waiter| waiter.0 == place)
            {
                waiter.1.clone_from(cx.waker());
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

// A shedding layer.

#[derive(Clone)]
pub(crate) struct ShedLayer {
    pub(crate) flaw: Option<Flaw>,
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        Shed {
            inner,
            readied: false,
            flaw: self.flaw,
        }
    }
}

pub(crate) struct Shed<S> {
    inner: S,
    readied: bool,
    flaw: Option<Flaw>,
}

impl<S: Clone> Clone for Shed<S> {
    fn clone(&self) -> Self {
        ShedLayer { flaw: self.flaw }.layer(self.inner.clone())
    }
}

impl<S> Service<Request> for Shed<S>
where
    S: Service<Request, Response = Response> + Clone,
    S::Error: Into<BoxError> + std::fmt::Display,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = BoxError;
    type Future = GateFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.readied = match self.inner.poll_ready(cx) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            ready => ready.is_ready(),
        };
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !std::mem::take(&mut self.readied) {
            if self.flaw != Some(Flaw::KeepsItsPlace) {
                self.inner = self.inner.clone();
            }
            return GateFuture::refused(
                Rejected::new(Pattern::LoadShedder, Reason::Shed).into(),
                None,
            );
        }
        let mut future = GateFuture::refused("".into(), None);
        future.refused = None;
        future.inner = Some(Box::pin(self.inner.call(request)));
        future
    }
}

// The subjects.

pub(crate) fn gate<'a, S>(flaw: Option<Flaw>) -> Subject<'a, Gate<S>>
where
    GateLayer: Layer<axiomatic_contract::Probe, Service = Gate<S>>,
{
    let pool = Pool::new(2);
    let (closed, opened, counted) = (pool.clone(), pool.clone(), pool.clone());
    Subject::new(GateLayer { pool, flaw })
        .refuse(move || closed.lock().closed = true)
        .relent(move || opened.lock().closed = false)
        .held(move || counted.held())
        .limit_in_flight(2)
}

/// The same gate, seen without a hook: the kit has to fill it up, and to see
/// leaks by what gets through.
pub(crate) fn gate_from_outside<'a, S>(flaw: Option<Flaw>) -> Subject<'a, Gate<S>>
where
    GateLayer: Layer<axiomatic_contract::Probe, Service = Gate<S>>,
{
    let pool = Pool::new(2);
    Subject::new(GateLayer { pool, flaw }).limit_in_flight(2)
}

pub(crate) fn queue<'a, S>(flaw: Option<Flaw>) -> Subject<'a, Queue<S>>
where
    QueueLayer: Layer<axiomatic_contract::Probe, Service = Queue<S>>,
{
    let pool = Pool::new(2);
    let counted = pool.clone();
    Subject::new(QueueLayer { pool, flaw })
        .held(move || counted.held())
        .limit_in_flight(2)
}

pub(crate) fn queue_from_outside<'a, S>(flaw: Option<Flaw>) -> Subject<'a, Queue<S>>
where
    QueueLayer: Layer<axiomatic_contract::Probe, Service = Queue<S>>,
{
    Subject::new(QueueLayer {
        pool: Pool::new(2),
        flaw,
    })
    .limit_in_flight(2)
}
