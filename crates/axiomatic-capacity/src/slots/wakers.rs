use std::panic::{AssertUnwindSafe, catch_unwind};
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

    /// Wakes them in the order in which they were served.
    ///
    /// One that panics has told its panic hook, and that is all: it must
    /// neither leave the others asleep, nor have whoever gave a slot back, or
    /// came for one, lose what is his.
    pub(super) fn wake(&mut self) {
        for waker in &mut self.wakers[..self.count] {
            if let Some(waker) = waker.take() {
                drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
            }
        }
        self.count = 0;
    }
}

/// Who was served is woken, whatever happens to who served it.
impl Drop for Wakers {
    fn drop(&mut self) {
        self.wake();
    }
}
