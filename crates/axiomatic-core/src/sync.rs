//! The facade over the atomics and locks of std, loom and shuttle, and the only
//! place that knows which of them is in use. Not public API.
//!
//! The switches are `--cfg axiomatic_loom` and `--cfg axiomatic_shuttle`: plain
//! `--cfg loom` also reaches tokio and hyper, which then do not compile.

#[cfg(axiomatic_loom)]
pub use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(axiomatic_loom)]
pub use loom::sync::{Mutex, MutexGuard};
#[cfg(axiomatic_shuttle)]
pub use shuttle::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(axiomatic_shuttle)]
pub use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(any(axiomatic_loom, axiomatic_shuttle)))]
pub use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(any(axiomatic_loom, axiomatic_shuttle)))]
pub use std::sync::{Mutex, MutexGuard};

/// To be called by whoever saw from an `Arc`'s count that references are
/// gone, before it looks at what their holders did: std's look at the count is
/// Relaxed.
#[inline]
pub fn observe_dropped() {
    // ORDERING: Acquire: observes what was done before a reference was
    // dropped; pairs with the Release in `Arc`'s drop.
    // SURVIVES: counts are std's, which loom does not see.
    std::sync::atomic::fence(Ordering::Acquire);
}

/// How many cache lines a hot counter is spread over: twice the cores, so
/// that runtimes with a few threads more than cores still find lines of
/// their own, rounded up to a power of two and capped, because a reader
/// visits them all.
pub fn spread() -> usize {
    #[cfg(axiomatic_loom)]
    {
        // Two lines are enough for a model to show that lines do not mix.
        2
    }
    #[cfg(not(axiomatic_loom))]
    {
        static SPREAD: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
        *SPREAD.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(4, usize::from);
            (2 * cores).next_power_of_two().min(32)
        })
    }
}

/// A small number that belongs to the calling thread while it lives: no two
/// live threads have the same, and those of ended threads are used again, so
/// the numbers stay compact and spread evenly over [`spread`] lines. A thread
/// whose locals are being torn down has none any more, and is answered with a
/// number beyond all lines.
///
/// Hashing the thread's id instead would make two busy threads collide by
/// chance, which at two threads on four lines costs a factor of four in
/// every fourth process.
#[inline]
pub fn thread_index() -> usize {
    #[cfg(axiomatic_loom)]
    {
        // Its hash changes with every execution of a model, its number in
        // the order of spawning does not.
        let id = format!("{:?}", loom::thread::current().id());
        id.chars().filter_map(|c| c.to_digit(10)).sum::<u32>() as usize
    }
    #[cfg(not(axiomatic_loom))]
    {
        index::current()
    }
}

#[cfg(not(axiomatic_loom))]
mod index {
    use std::cell::Cell;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    use std::sync::{Mutex, PoisonError};

    const UNCLAIMED: usize = usize::MAX;
    /// Beyond all lines: who would write one alone shares one instead.
    const ENDED: usize = usize::MAX - 1;

    thread_local! {
        // Two cells: this one has no destructor, so reading it is one load.
        static INDEX: Cell<usize> = const { Cell::new(UNCLAIMED) };
        // And this one gives the number back when the thread ends.
        static CLAIM: Claim = Claim::new();
    }

    /// Taken once at a thread's first call and once at its end.
    static POOL: Mutex<Pool> = Mutex::new(Pool {
        free: BinaryHeap::new(),
        issued: 0,
    });

    struct Pool {
        free: BinaryHeap<Reverse<usize>>,
        issued: usize,
    }

    struct Claim(usize);

    impl Claim {
        fn new() -> Self {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            Claim(match pool.free.pop() {
                Some(Reverse(index)) => index,
                None => {
                    pool.issued += 1;
                    pool.issued - 1
                }
            })
        }
    }

    impl Drop for Claim {
        fn drop(&mut self) {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            // The other locals may be dropped after this one, and their drops
            // count: not on a line that is another's by then.
            INDEX.set(ENDED);
            pool.free.push(Reverse(self.0));
        }
    }

    #[inline]
    pub(super) fn current() -> usize {
        let index = INDEX.get();
        if index == UNCLAIMED { claim() } else { index }
    }

    #[cold]
    fn claim() -> usize {
        // A thread whose locals are being torn down has no claim any more.
        let index = CLAIM.try_with(|claim| claim.0).unwrap_or(ENDED);
        INDEX.set(index);
        index
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::thread_index;
    use std::collections::HashSet;
    use std::sync::Barrier;

    #[test]
    fn live_threads_never_share_an_index() {
        let barrier = Barrier::new(8);
        let indices: HashSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let index = thread_index();
                        barrier.wait();
                        index
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(indices.len(), 8);
    }

    #[test]
    fn a_thread_keeps_its_index() {
        assert_eq!(thread_index(), thread_index());
    }
}
