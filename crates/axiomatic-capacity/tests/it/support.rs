//! What several files here need.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{Admission, Ask, Bulkhead, Config, Order, WhenFull};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Announce, Carrier, Classify, Context, Outcome, Plain, Rejected};
use tokio::sync::Semaphore;
use tower::{Service, service_fn};

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn slots(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

pub(crate) fn waiting(order: Order) -> WhenFull {
    WhenFull::Wait {
        max_waiting: 100,
        max_wait: SECOND,
        order,
    }
}

/// One whose clock stands.
pub(crate) fn still(limit: u32, order: Order) -> Bulkhead {
    let clock = ManualClock::new();
    Config::new(slots(limit))
        .when_full(waiting(order))
        .clock(Clock::Manual(clock))
        .build()
        .unwrap()
}

/// A place in the queue, where there is no slot.
pub(crate) fn place(bulkhead: &Bulkhead, ask: Ask) -> axiomatic_capacity::bulkhead::Waiting {
    match bulkhead.admit_or_wait(ask).unwrap() {
        Admission::Waiting(waiting) => waiting,
        Admission::Admitted(_) => panic!("there was a slot"),
    }
}

/// Polls once, with a waker that counts.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(wakes));
    Pin::new(future).poll(&mut task::Context::from_waker(&waker))
}

#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request that carries its context, and a binding that reads it.
#[derive(Clone, Copy)]
pub(crate) struct Carried;

impl<Res> Announce<Res> for Carried {}

impl Carrier<Context> for Carried {
    fn context(&self, request: &Context) -> Context {
        request.clone()
    }

    fn set_context(&self, request: &mut Context, context: Context) {
        *request = context;
    }
}

impl<R> Classify<R, Rejected> for Carried {
    fn classify(&self, result: Result<&R, &Rejected>) -> Outcome {
        Plain.classify(result)
    }
}

impl<P: axiomatic_core::Settle, R> axiomatic_core::Complete<P, R> for Carried {
    type Response = R;

    fn complete(&self, permit: P, outcome: Outcome, response: R) -> R {
        permit.settle(outcome);
        response
    }
}

/// A service whose calls end when they are let, and that counts them.
#[derive(Clone)]
pub(crate) struct Held {
    gate: Arc<Semaphore>,
    called: Arc<AtomicUsize>,
}

impl Held {
    pub(crate) fn new() -> Self {
        Held {
            gate: Arc::new(Semaphore::new(0)),
            called: Arc::default(),
        }
    }

    /// How many calls have reached it.
    pub(crate) fn called(&self) -> usize {
        self.called.load(Ordering::Relaxed)
    }

    /// Lets so many calls end.
    pub(crate) fn let_end(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    pub(crate) fn service<R: 'static>(
        &self,
    ) -> impl Service<
        R,
        Response = R,
        Error = Rejected,
        Future = impl Future<Output = Result<R, Rejected>>,
    > + Clone {
        let held = self.clone();
        service_fn(move |request: R| {
            let held = held.clone();
            held.called.fetch_add(1, Ordering::Relaxed);
            async move {
                held.gate.acquire().await.unwrap().forget();
                Ok(request)
            }
        })
    }
}
