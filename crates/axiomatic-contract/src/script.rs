//! The inner service that the kit puts under a layer: it does what its
//! script says, and remembers what was done to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::{Event, Probe, Readiness, Reply};

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

pub(crate) struct State {
    pub(crate) readiness: Readiness,
    pub(crate) reply: Reply,
    pub(crate) instances: BTreeMap<u64, Instance>,
    pub(crate) calls: BTreeMap<u64, Call>,
    /// The number of the response to each request that was answered.
    pub(crate) answers: BTreeMap<u64, u64>,
    pub(crate) next: u64,
    pub(crate) events: Vec<Event>,
}

#[derive(Default)]
pub(crate) struct Instance {
    pub(crate) readied: bool,
    /// The latest waker, while it waits to be ready.
    pub(crate) waker: Option<Waker>,
}

pub(crate) struct Call {
    pub(crate) steps: usize,
    /// The latest waker, while it waits for a step.
    pub(crate) waker: Option<Waker>,
}

impl State {
    pub(crate) fn fresh(&mut self) -> u64 {
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

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
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
    /// is ready stays so until it is called: a place, once promised, is kept,
    /// unless it is [failing](Readiness::Failing).
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
