//! The inner service that the kit puts under a layer: it does what its
//! script says, and remembers what was done to it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tower_service::Service;

/// A request. No two that the kit makes are equal, so one that comes out of a
/// layer can be told from one that the layer made up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    id: u64,
}

impl Request {
    /// The request of this number.
    pub const fn new(id: u64) -> Self {
        Request { id }
    }

    /// Its number.
    pub const fn id(&self) -> u64 {
        self.id
    }
}

/// A response. Like a [`Request`], it is known by a number of its own.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Response {
    id: u64,
}

impl Response {
    /// The response of this number.
    pub const fn new(id: u64) -> Self {
        Response { id }
    }

    /// Its number.
    pub const fn id(&self) -> u64 {
        self.id
    }
}

/// The error of a [`Probe`]: a type that no layer can make by accident, with
/// a number, so that "the very same error" can be checked.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    id: u64,
}

impl Failure {
    /// Its number.
    pub const fn id(&self) -> u64 {
        self.id
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scripted failure {}", self.id)
    }
}

impl Error for Failure {}

/// What [`Probe::poll_ready`](Service::poll_ready) says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// Ready.
    Ready,
    /// Not ready, until the script says something else.
    Pending,
    /// Never ready again: a [`Failure`].
    Failing,
}

/// What a call of a [`Probe`] does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Answers at the first poll.
    Answer,
    /// Is pending until [`Script::step`] was called this many times, then
    /// answers.
    AnswerAfter(usize),
    /// Is pending until [`Script::step`] was called this many times, then
    /// fails.
    FailAfter(usize),
    /// Is pending until [`Script::step`] was called this many times, then
    /// panics.
    PanicAfter(usize),
    /// Panics in `call` itself.
    PanicInCall,
    /// Never answers.
    Never,
}

/// Something that was done to a [`Probe`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// `clone`, which made instance `to`.
    Cloned {
        /// The instance cloned.
        from: u64,
        /// The instance made.
        to: u64,
    },
    /// `poll_ready`.
    PolledReady {
        /// The instance polled.
        instance: u64,
        /// What it said.
        said: Readiness,
    },
    /// `call`.
    Called {
        /// The instance called.
        instance: u64,
        /// The number of the request.
        request: u64,
        /// Whether the instance had said that it was ready, and had not been
        /// called since.
        readied: bool,
    },
    /// The future of a call was polled.
    Polled {
        /// The number of the request.
        request: u64,
        /// Whether the future was done.
        done: bool,
    },
    /// The future of a call was polled after it had been done.
    PolledAgain {
        /// The number of the request.
        request: u64,
    },
    /// The future of a call was dropped.
    Dropped {
        /// The number of the request.
        request: u64,
        /// Whether it was done.
        done: bool,
    },
    /// An instance was dropped.
    Discarded {
        /// The instance.
        instance: u64,
        /// Whether it had been readied for a call that never came.
        readied: bool,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Event::Cloned { from, to } => write!(f, "inner {from} cloned as inner {to}"),
            Event::PolledReady { instance, said } => {
                write!(f, "inner {instance} polled for readiness: {said:?}")
            }
            Event::Called {
                instance,
                request,
                readied,
            } => {
                let unready = if readied { "" } else { ", NOT READIED" };
                write!(f, "inner {instance} called with request {request}{unready}")
            }
            Event::Polled { request, done } => {
                let state = if done { "done" } else { "pending" };
                write!(f, "future of request {request} polled: {state}")
            }
            Event::PolledAgain { request } => {
                write!(f, "future of request {request} polled AGAIN")
            }
            Event::Dropped { request, done } => {
                let state = if done { "done" } else { "in flight" };
                write!(f, "future of request {request} dropped, {state}")
            }
            Event::Discarded { instance, readied } => {
                let state = if readied { ", readied and unused" } else { "" };
                write!(f, "inner {instance} dropped{state}")
            }
        }
    }
}

/// The hand that moves a [`Probe`]: what it does next, and what was done to
/// it. Clones move the same probe.
///
/// ```
/// use axiomatic_contract::{Readiness, Request, Script};
/// use std::task::{Context, Waker};
/// use tower_service::Service;
///
/// let script = Script::new();
/// let mut inner = script.service();
/// let mut cx = Context::from_waker(Waker::noop());
///
/// script.set_readiness(Readiness::Pending);
/// assert!(inner.poll_ready(&mut cx).is_pending());
///
/// // A call now is against the contract; the probe does not panic, it tells.
/// drop(inner.call(Request::new(1)));
/// assert_eq!(script.unreadied_calls(), 1);
/// ```
#[derive(Clone)]
pub struct Script {
    state: Arc<Mutex<State>>,
}

struct State {
    readiness: Readiness,
    reply: Reply,
    instances: BTreeMap<u64, Instance>,
    calls: BTreeMap<u64, Call>,
    /// The number of the response to each request that was answered.
    answers: BTreeMap<u64, u64>,
    next: u64,
    events: Vec<Event>,
}

#[derive(Default)]
struct Instance {
    readied: bool,
    /// The latest waker, while it waits to be ready.
    waker: Option<Waker>,
}

struct Call {
    steps: usize,
    /// The latest waker, while it waits for a step.
    waker: Option<Waker>,
}

impl State {
    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Script {
    /// A probe that is ready and answers at once.
    #[allow(
        clippy::new_without_default,
        reason = "a default that tests read would hide what the script is"
    )]
    pub fn new() -> Self {
        Script {
            state: Arc::new(Mutex::new(State {
                readiness: Readiness::Ready,
                reply: Reply::Answer,
                instances: BTreeMap::new(),
                calls: BTreeMap::new(),
                answers: BTreeMap::new(),
                next: 0,
                events: Vec::new(),
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new instance of the service, not yet readied.
    pub fn service(&self) -> Probe {
        let mut state = self.lock();
        let id = state.fresh();
        state.instances.insert(id, Instance::default());
        Probe {
            id,
            script: self.clone(),
        }
    }

    /// Changes what the instances say that are polled for readiness, and
    /// wakes those who wait for it, each once. An instance that has said it
    /// is ready stays so until it is called: a place, once promised, is kept.
    pub fn set_readiness(&self, readiness: Readiness) {
        let mut state = self.lock();
        state.readiness = readiness;
        let woken: Vec<Waker> = if readiness == Readiness::Pending {
            Vec::new()
        } else {
            let waiting = state.instances.values_mut();
            waiting.filter_map(|at| at.waker.take()).collect()
        };
        // Wakers run code of the layer, which may come back here.
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Changes what calls do from now on; those in flight go on as they were.
    pub fn set_reply(&self, reply: Reply) {
        self.lock().reply = reply;
    }

    /// Brings every call in flight one step nearer to its end, and wakes
    /// those who wait for it, each once. Says how many calls that were.
    pub fn step(&self) -> usize {
        let mut state = self.lock();
        let mut woken = Vec::new();
        let mut stepped = 0;
        for call in state.calls.values_mut() {
            if call.steps > 0 {
                call.steps -= 1;
                stepped += 1;
                woken.extend(call.waker.take());
            }
        }
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        stepped
    }

    /// The number of the response that the request of this number was given.
    pub fn answer_to(&self, request: u64) -> Option<u64> {
        self.lock().answers.get(&request).copied()
    }

    /// How many futures of calls exist.
    pub fn live(&self) -> usize {
        self.lock().calls.len()
    }

    /// How many instances have been readied for a call that has not come.
    pub fn readied(&self) -> usize {
        let state = self.lock();
        state.instances.values().filter(|at| at.readied).count()
    }

    /// How many instances have a place in the queue of those who wait to be
    /// ready.
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        let waiting = state.instances.values().filter(|at| at.waker.is_some());
        waiting.count()
    }

    /// Everything that was done to the probe, in order.
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.count(|event| matches!(event, Event::Called { .. }))
    }

    /// How often readiness was asked for.
    pub fn readiness_polls(&self) -> usize {
        self.count(|event| matches!(event, Event::PolledReady { .. }))
    }

    /// How many calls were made on an instance that had not said it was
    /// ready since the call before.
    pub fn unreadied_calls(&self) -> usize {
        self.count(|event| matches!(event, Event::Called { readied: false, .. }))
    }

    /// How many instances were dropped that were readied and never called.
    pub fn discarded_readied(&self) -> usize {
        self.count(|event| matches!(event, Event::Discarded { readied: true, .. }))
    }

    /// How often a future was polled after it had been done.
    pub fn polls_after_done(&self) -> usize {
        self.count(|event| matches!(event, Event::PolledAgain { .. }))
    }

    fn count(&self, of: impl Fn(&Event) -> bool) -> usize {
        let state = self.lock();
        state.events.iter().filter(|event| of(event)).count()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Script")
            .field("readiness", &state.readiness)
            .field("reply", &state.reply)
            .field("live", &state.calls.len())
            .field("events", &state.events)
            .finish()
    }
}

/// The scripted service. A clone is an instance of its own: that the one it
/// was cloned from is ready says nothing about it.
pub struct Probe {
    id: u64,
    script: Script,
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        let clone = self.script.service();
        self.script.lock().events.push(Event::Cloned {
            from: self.id,
            to: clone.id,
        });
        clone
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut state = self.script.lock();
        let gone = state.instances.remove(&self.id).unwrap_or_default();
        state.events.push(Event::Discarded {
            instance: self.id,
            readied: gone.readied,
        });
        // The waker drops after the lock, as its drop may run the layer's.
        drop(state);
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("instance", &self.id).finish()
    }
}

impl Service<Request> for Probe {
    type Response = Response;
    type Error = Failure;
    type Future = ProbeFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut state = self.script.lock();
        let readiness = state.readiness;
        let fresh = state.fresh();
        let instance = state.instances.entry(self.id).or_default();
        let said = if instance.readied {
            Readiness::Ready
        } else {
            readiness
        };
        instance.readied = said == Readiness::Ready;
        let waits = (said == Readiness::Pending).then(|| cx.waker().clone());
        let replaced = mem::replace(&mut instance.waker, waits);
        state.events.push(Event::PolledReady {
            instance: self.id,
            said,
        });
        drop(state);
        drop(replaced);
        match said {
            Readiness::Ready => Poll::Ready(Ok(())),
            Readiness::Pending => Poll::Pending,
            Readiness::Failing => Poll::Ready(Err(Failure { id: fresh })),
        }
    }

    fn call(&mut self, request: Request) -> ProbeFuture {
        let mut state = self.script.lock();
        let instance = state.instances.entry(self.id).or_default();
        let readied = mem::replace(&mut instance.readied, false);
        state.events.push(Event::Called {
            instance: self.id,
            request: request.id,
            readied,
        });
        let reply = state.reply;
        let (steps, end) = match reply {
            Reply::Answer => (0, End::Answer),
            Reply::AnswerAfter(steps) => (steps, End::Answer),
            Reply::FailAfter(steps) => (steps, End::Fail),
            Reply::PanicAfter(steps) => (steps, End::Panic),
            Reply::Never => (usize::MAX, End::Answer),
            Reply::PanicInCall => {
                drop(state);
                scripted_panic()
            }
        };
        let id = state.fresh();
        state.calls.insert(id, Call { steps, waker: None });
        drop(state);
        ProbeFuture {
            id,
            request: request.id,
            end,
            done: false,
            script: self.script.clone(),
        }
    }
}

/// Unwinds without the panic hook: a panic that the test itself ordered is
/// not worth a backtrace in its output.
fn scripted_panic() -> ! {
    std::panic::resume_unwind(Box::new("scripted panic"))
}

#[derive(Copy, Clone)]
enum End {
    Answer,
    Fail,
    Panic,
}

/// The future of a call of a [`Probe`].
pub struct ProbeFuture {
    id: u64,
    request: u64,
    end: End,
    done: bool,
    script: Script,
}

impl Future for ProbeFuture {
    type Output = Result<Response, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.script.lock();
        let fresh = state.fresh();
        let Some(call) = state.calls.get_mut(&self.id) else {
            unreachable!("a call is known until its future is dropped");
        };
        if self.done {
            // Against the contract of futures.
            let request = self.request;
            state.events.push(Event::PolledAgain { request });
            return Poll::Pending;
        }
        let waits = call.steps > 0;
        let replaced = mem::replace(&mut call.waker, waits.then(|| cx.waker().clone()));
        state.events.push(Event::Polled {
            request: self.request,
            done: !waits,
        });
        drop(state);
        drop(replaced);
        if waits {
            return Poll::Pending;
        }
        self.done = true;
        match self.end {
            End::Answer => {
                self.script.lock().answers.insert(self.request, fresh);
                Poll::Ready(Ok(Response { id: fresh }))
            }
            End::Fail => Poll::Ready(Err(Failure { id: fresh })),
            End::Panic => scripted_panic(),
        }
    }
}

impl Drop for ProbeFuture {
    fn drop(&mut self) {
        let mut state = self.script.lock();
        let gone = state.calls.remove(&self.id);
        state.events.push(Event::Dropped {
            request: self.request,
            done: self.done,
        });
        drop(state);
        drop(gone);
    }
}

impl fmt::Debug for ProbeFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeFuture")
            .field("request", &self.request)
            .field("done", &self.done)
            .finish()
    }
}
