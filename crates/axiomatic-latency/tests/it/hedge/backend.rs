//! A dependency that does what a list says.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};
use std::time::Duration;

use axiomatic_core::binding::{Advice, Advise};
use axiomatic_core::budget::Budget;
use axiomatic_core::context::{Choice, Endpoint};
use axiomatic_core::repeat::Always;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Carrier, Classify, Context, Outcome, Refusable, Rejected};
use axiomatic_latency::hedge::{Hedge, HedgeService};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt};

pub(crate) const MILLI: Duration = Duration::from_millis(1);

pub(crate) fn now() -> Instant {
    Clock::Precise.now()
}

/// How an attempt ends, after so many milliseconds.
pub(crate) type Answer = (u32, Result<u32, Trouble>);

pub(crate) const NEVER: u32 = u32::MAX;

/// What can be wrong with an answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Rejected(Rejected),
    /// It failed, and may work later.
    Broken,
    /// The same, at this endpoint.
    At(Endpoint),
    /// The same, and it does not want to be asked again.
    Unwilling,
    /// It was never reached.
    Unsent,
    Throttled,
    /// The request is wrong.
    Wrong,
}

impl From<Rejected> for Trouble {
    fn from(rejected: Rejected) -> Self {
        Trouble::Rejected(rejected)
    }
}

impl Refusable for Trouble {
    fn rejected(&self) -> Option<Rejected> {
        match self {
            Trouble::Rejected(rejected) => Some(*rejected),
            _ => None,
        }
    }
}

/// A request is what it carries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) context: Context,
    pub(crate) choice: Option<Choice>,
    /// How often the context was written.
    pub(crate) writes: usize,
}

impl From<Context> for Request {
    fn from(context: Context) -> Self {
        Request {
            context,
            ..Request::default()
        }
    }
}

/// Reads what a request carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried;

impl Carrier<Request> for Carried {
    fn context(&self, request: &Request) -> Context {
        request.context.clone()
    }

    fn set_context(&self, request: &mut Request, context: Context) {
        request.context = context;
        request.writes += 1;
    }

    fn choice(&self, request: &Request) -> Option<Choice> {
        request.choice.clone()
    }

    fn set_choice(&self, request: &mut Request, choice: Choice) {
        request.choice = Some(choice);
    }
}

impl Classify<u32, Trouble> for Carried {
    fn classify(&self, result: Result<&u32, &Trouble>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(Trouble::Rejected(rejected)) => rejected.reason().outcome(),
            Err(Trouble::Throttled) => Outcome::Throttled { retry_after: None },
            Err(Trouble::Wrong) => Outcome::Permanent,
            Err(_) => Outcome::Transient,
        }
    }
}

impl Advise<u32, Trouble> for Carried {
    fn advice(&self, result: Result<&u32, &Trouble>) -> Advice {
        match result {
            Err(Trouble::Unwilling) => Advice::Never,
            Err(Trouble::Unsent) => Advice::Unsent,
            _ => Advice::ByOutcome,
        }
    }

    fn endpoint(&self, result: Result<&u32, &Trouble>) -> Option<Endpoint> {
        match result {
            Err(Trouble::At(endpoint)) => Some(*endpoint),
            _ => None,
        }
    }
}

/// What a test sees of the dependency.
#[derive(Clone)]
pub(crate) struct Backend(Arc<State>);

struct State {
    answers: Mutex<VecDeque<Answer>>,
    sent: Mutex<Vec<(Instant, Request)>>,
    readiness: Mutex<Readiness>,
    chooses: Option<Endpoint>,
    live: AtomicU32,
    clones: AtomicUsize,
    unreadied_calls: AtomicU32,
}

#[derive(Default)]
struct Readiness {
    said: Said,
    waiting: Vec<Waker>,
}

#[derive(Copy, Clone, Default)]
enum Said {
    #[default]
    Ready,
    Waits,
    Fails,
}

impl Backend {
    pub(crate) fn new(answers: &[Answer]) -> Self {
        Backend(Arc::new(State {
            answers: Mutex::new(answers.iter().copied().collect()),
            sent: Mutex::default(),
            readiness: Mutex::default(),
            chooses: None,
            live: AtomicU32::new(0),
            clones: AtomicUsize::new(0),
            unreadied_calls: AtomicU32::new(0),
        }))
    }

    /// The same behind a balancer that says which endpoint it chose.
    pub(crate) fn choosing(self, endpoint: Endpoint) -> Self {
        let mut state = Arc::into_inner(self.0).unwrap();
        state.chooses = Some(endpoint);
        Backend(Arc::new(state))
    }

    pub(crate) fn service(&self) -> Attempts {
        Attempts {
            state: self.0.clone(),
            is_ready: false,
        }
    }

    /// When the attempts were sent.
    pub(crate) fn sent(&self) -> Vec<Instant> {
        self.0
            .sent
            .lock()
            .unwrap()
            .iter()
            .map(|sent| sent.0)
            .collect()
    }

    /// The same in milliseconds.
    pub(crate) fn sent_since(&self, began: Instant) -> Vec<u32> {
        let millis = |at: Instant| (at - began).as_millis() as u32;
        self.sent().into_iter().map(millis).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        let sent = self.0.sent.lock().unwrap();
        sent.iter().map(|sent| sent.1.clone()).collect()
    }

    /// Attempts under way.
    pub(crate) fn live(&self) -> u32 {
        self.0.live.load(Ordering::Relaxed)
    }

    /// How often the service was cloned.
    pub(crate) fn clones(&self) -> usize {
        self.0.clones.load(Ordering::Relaxed)
    }

    pub(crate) fn unreadied_calls(&self) -> u32 {
        self.0.unreadied_calls.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.say(if is_ready { Said::Ready } else { Said::Waits });
    }

    pub(crate) fn fail_readiness(&self) {
        self.say(Said::Fails);
    }

    fn say(&self, said: Said) {
        let mut readiness = self.0.readiness.lock().unwrap();
        readiness.said = said;
        readiness.waiting.drain(..).for_each(Waker::wake);
    }
}

/// An instance of the service.
pub(crate) struct Attempts {
    state: Arc<State>,
    is_ready: bool,
}

impl Clone for Attempts {
    fn clone(&self) -> Self {
        self.state.clones.fetch_add(1, Ordering::Relaxed);
        Attempts {
            state: self.state.clone(),
            is_ready: false,
        }
    }
}

impl Service<Request> for Attempts {
    type Response = u32;
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Trouble>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Trouble>> {
        let mut readiness = self.state.readiness.lock().unwrap();
        match readiness.said {
            Said::Ready => {
                self.is_ready = true;
                Poll::Ready(Ok(()))
            }
            Said::Waits => {
                readiness.waiting.push(cx.waker().clone());
                Poll::Pending
            }
            Said::Fails => Poll::Ready(Err(Trouble::Broken)),
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !std::mem::take(&mut self.is_ready) {
            self.state.unreadied_calls.fetch_add(1, Ordering::Relaxed);
        }
        if let (Some(choice), Some(endpoint)) = (&request.choice, self.state.chooses) {
            choice.tell(endpoint);
        }
        self.state.sent.lock().unwrap().push((now(), request));
        let answer = self.state.answers.lock().unwrap().pop_front();
        self.state.live.fetch_add(1, Ordering::Relaxed);
        let live = Live(self.state.clone());
        Box::pin(async move {
            let _live = live;
            match answer {
                None | Some((NEVER, _)) => pending().await,
                Some((0, result)) => result,
                Some((millis, result)) => {
                    sleep(millis * MILLI).await;
                    result
                }
            }
        })
    }
}

struct Live(Arc<State>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The backend behind a hedge that may repeat everything.
pub(crate) fn over<Bu: Budget>(
    hedge: &Hedge<Bu>,
    backend: &Backend,
) -> HedgeService<Attempts, Trouble, Carried, Always, Bu> {
    let layer = hedge.layer(Always).with_error().with_binding(Carried);
    layer.layer(backend.service())
}

pub(crate) async fn call<S, R>(mut service: S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R>,
{
    service.ready().await?.call(request).await
}
