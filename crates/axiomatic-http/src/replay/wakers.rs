use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};

use super::recording::{Mutex, MutexGuard};

/// The readers of one original that wait for it.
///
/// The original is polled with all of them as its waker: it wakes whoever
/// waits, so that none depends on another, which may have been put away and
/// not dropped, to poll for it.
#[derive(Default)]
pub(super) struct Wakers(Mutex<Vec<(u64, Waker)>>);

impl Wakers {
    /// Wakes this reader with the next event.
    pub(super) fn register(&self, reader: u64, waker: &Waker) {
        let is_known = |(of, known): &(u64, Waker)| *of == reader && known.will_wake(waker);
        if self.lock().iter().any(is_known) {
            return;
        }
        // Cloned and dropped outside of the lock: wakers are others' code.
        let waker = waker.clone();
        let mut list = self.lock();
        let place = list.iter_mut().find(|(of, _)| *of == reader);
        let replaced = match place {
            Some((_, place)) => Some(std::mem::replace(place, waker)),
            None => {
                list.push((reader, waker));
                None
            }
        };
        drop(list);
        drop(replaced);
    }

    /// Forgets a reader that is gone.
    pub(super) fn remove(&self, reader: u64) {
        let mut list = self.lock();
        let place = list.iter().position(|(of, _)| *of == reader);
        let removed = place.map(|place| list.remove(place));
        drop(list);
        drop(removed);
    }

    /// Wakes all who wait but this one, which is awake.
    pub(super) fn wake_others(&self, awake: u64) {
        self.each(|reader, waker| {
            if reader != awake {
                waker.wake();
            }
        });
    }

    /// Takes out, one by one, those who are there now, in their order.
    fn each(&self, tell: impl Fn(u64, Waker)) {
        let waiting = self.lock().len();
        for _ in 0..waiting {
            let mut list = self.lock();
            if list.is_empty() {
                return;
            }
            let (reader, waker) = list.remove(0);
            drop(list);
            tell(reader, waker);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.each(|_, waker| waker.wake());
    }
}
