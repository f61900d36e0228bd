use std::mem;
use std::sync::PoisonError;
use std::task::{Context, Waker};

use axiomatic_core::sync::{Mutex, MutexGuard};

/// Who waits for the first node. No request comes by here while there is one.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wakers: Vec<(u64, Waker)>,
    next: u64,
    has_ended: bool,
}

/// A place among those who wait; each waits in one at most.
#[derive(Debug, Default)]
pub(super) struct Place(Option<u64>);

/// What became of the wish to wait.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It will be woken.
    Registered,
    /// Nothing will change any more.
    Ended,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics happens under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for [`wake_all`](Self::wake_all). Whoever asks must look again
    /// afterwards: what it waits for may have come before it was registered.
    pub(super) fn wait(&self, place: &mut Place, cx: &Context<'_>) -> Waiting {
        // Its clone and its drop are somebody else's code, and not under the lock.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if state.has_ended {
            return Waiting::Ended;
        }
        let place = *place.0.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        let waiting = state.wakers.iter().position(|(other, _)| *other == place);
        let replaced = match waiting {
            Some(at) => Some(mem::replace(&mut state.wakers[at].1, waker)),
            None => {
                state.wakers.push((place, waker));
                None
            }
        };
        drop(state);
        drop(replaced);
        Waiting::Registered
    }

    /// Leaves, if it waits.
    pub(super) fn leave(&self, place: &mut Place) {
        let Some(place) = place.0.take() else { return };
        let mut state = self.lock();
        let waiting = state.wakers.iter().position(|(other, _)| *other == place);
        let left = waiting.map(|at| state.wakers.swap_remove(at));
        drop(state);
        drop(left);
    }

    /// Wakes all who wait, each once.
    pub(super) fn wake_all(&self) {
        let wakers = mem::take(&mut self.lock().wakers);
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Wakes all who wait, and lets nobody wait any more.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.wake_all();
    }
}
