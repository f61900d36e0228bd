use std::task::Waker;

/// Those who are woken once the lock is released.
pub(super) struct Wakers {
    wakers: [Option<Waker>; BATCH],
    count: usize,
}

/// Mostly it is one, and each place is cleared and looked at in any case: 32,
/// which is what tokio wakes at a time, make a slot that is handed over 40 ns
/// dearer, and 4 nothing cheaper.
const BATCH: usize = 8;

impl Wakers {
    pub(super) fn new() -> Self {
        Wakers {
            wakers: [const { None }; BATCH],
            count: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// Room there is, as long as it was asked for.
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        if waker.is_some() {
            self.wakers[self.count] = waker;
            self.count += 1;
        }
    }

    pub(super) fn wake(&mut self) {
        while self.count > 0 {
            self.count -= 1;
            if let Some(waker) = self.wakers[self.count].take() {
                waker.wake();
            }
        }
    }
}

/// One that panics when it is woken must not leave the others asleep.
impl Drop for Wakers {
    fn drop(&mut self) {
        self.wake();
    }
}
