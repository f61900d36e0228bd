//! Three small layers that keep the contract, and the flaws that can be put
//! into them one at a time. Between a layer that passes and one that does not
//! there is one branch.

mod gate;
mod queue;
mod shed;
mod time;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use axiomatic_contract::{Probe, Subject};
use axiomatic_core::{BoxError, Pattern, Reason, Rejected};

use gate::{Gate, GateLayer};
use queue::{Queue, QueueLayer};
pub(crate) use shed::ShedLayer;
pub(crate) use time::{Thrice, Timerless, broken, paused};

/// One way to be wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    NeverReady,
    CallsAClone,
    CallsWhatItDidNotReady,
    IsReadyTooSoon,
    RepeatsUnreadied,
    CopiesReadiness,
    TakesAPermitAtEachPoll,
    SwallowsReadinessErrors,
    RewordsReadinessErrors,
    ReportsReadinessErrorsLate,
    RemembersReadiness,
    WakesItself,
    WakesItselfOverACall,
    LosesTheReadinessWaker,
    LosesTheCallWaker,
    WakesTwice,
    LosesTheWakerOfRepeats,
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
    LeaksWhileUnwinding,
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

pub(crate) fn gate(flaw: Option<Flaw>) -> Subject<'static, Gate<Probe>> {
    let pool = Pool::new(2);
    let (closed, opened, counted) = (pool.clone(), pool.clone(), pool.clone());
    Subject::new(GateLayer { pool, flaw })
        .refuse(move || closed.lock().closed = true)
        .relent(move || opened.lock().closed = false)
        .held(move || counted.held())
        .limit_in_flight(2)
}

/// A layer with one slot, for what is done around it.
pub(crate) fn gate_layer() -> GateLayer {
    GateLayer {
        pool: Pool::new(1),
        flaw: None,
    }
}

/// The same gate, seen without a hook: the kit has to fill it up, and to see
/// leaks by what gets through.
pub(crate) fn gate_from_outside(flaw: Option<Flaw>) -> Subject<'static, Gate<Probe>> {
    let pool = Pool::new(2);
    Subject::new(GateLayer { pool, flaw }).limit_in_flight(2)
}

pub(crate) fn queue(flaw: Option<Flaw>) -> Subject<'static, Queue<Probe>> {
    let pool = Pool::new(2);
    let counted = pool.clone();
    Subject::new(QueueLayer { pool, flaw })
        .held(move || counted.held())
        .limit_in_flight(2)
}

pub(crate) fn queue_from_outside(flaw: Option<Flaw>) -> Subject<'static, Queue<Probe>> {
    Subject::new(QueueLayer {
        pool: Pool::new(2),
        flaw,
    })
    .limit_in_flight(2)
}
