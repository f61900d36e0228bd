use crate::sync::{AtomicU64, Ordering};

/// Whether a value may be used, is about to go, or is gone.
///
/// The hand closes a value that is idle, waits until everybody has left who
/// may have found it live (a *grace*, see `Graces`), looks again whether it is
/// idle, and lets it go. Who finds it closed opens it before using it. So
/// whoever was handed a value is seen by the look that decides, and after
/// that look nobody is handed it.
///
/// Layout    0 live | the round in which it was closed | `u64::MAX` gone
/// Invariant gone is for ever; only the hand closes and lets go; one round
///           closes a value once.
/// Writers   `close`, `open`, `go`. Readers `hold` (hot), `look`.
/// Orderings `hold` is SeqCst, and what follows `close` is a heavy barrier of
///           the collector: see there.
#[derive(Debug)]
pub struct Phase(AtomicU64);

/// What a phase is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It may be used.
    Live,
    /// It is about to go, since this round.
    Closed(u64),
    /// It is gone from the store, or about to be removed.
    Gone,
}

const LIVE: u64 = 0;
const GONE: u64 = u64::MAX;

impl Phase {
    /// Live.
    #[expect(clippy::new_without_default, reason = "it is always made by name")]
    pub fn new() -> Self {
        Phase(AtomicU64::new(LIVE))
    }

    /// Whether the value may be used by the caller, who is inside and stays
    /// until it is done. On the hot path this is one load of a line that
    /// nobody writes.
    #[inline]
    pub fn hold(&self) -> bool {
        // ORDERING: SeqCst: either whoever closes finds the caller inside,
        // or the caller finds the value closed. The two locations that need
        // one order are this word and the collector's note that the caller
        // is inside. The caller wrote that before (a SeqCst store, or a plain
        // one where the system has process-wide barriers), and whoever closes
        // reads it after the collector's heavy barrier; so this load must not
        // pass that store, as the collector's own loads of pointers must not,
        // which are SeqCst for the same reason. On x86 it is a plain load.
        // SURVIVES: loom takes SeqCst loads for Acquire, and models the
        // collector's barrier as a fence on both sides.
        let word = self.0.load(Ordering::SeqCst);
        word == LIVE || self.open(word)
    }

    /// Opens a value that is closed, unless it goes first.
    ///
    /// Linearises at the exchange. A lost race means that another opened it,
    /// the hand let it go, or (in between) closed it again: lock-free.
    #[cold]
    fn open(&self, mut word: u64) -> bool {
        loop {
            match word {
                LIVE => return true,
                GONE => return false,
                closed => {
                    // ORDERING: Relaxed: against `go` one word decides; what
                    // the caller then does is seen by a later look, since it
                    // is inside when the hand closes again.
                    match self.0.compare_exchange(
                        closed,
                        LIVE,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    ) {
                        Ok(_) => return true,
                        Err(current) => word = current,
                    }
                }
            }
        }
    }

    /// What it is.
    pub fn look(&self) -> Look {
        // ORDERING: Relaxed: only the hand, which asks, closes; an opening
        // that is missed makes its exchange fail.
        match self.0.load(Ordering::Relaxed) {
            LIVE => Look::Live,
            GONE => Look::Gone,
            round => Look::Closed(round),
        }
    }

    /// Closes a live value in this round, which is neither 0 nor
    /// `u64::MAX`. The caller lets a heavy barrier follow.
    pub fn close(&self, round: u64) {
        self.turn(LIVE, round);
    }

    /// Opens a value that was closed in this round and is not idle.
    pub fn reopen(&self, round: u64) {
        self.turn(round, LIVE);
    }

    /// Lets a value go that was closed in this round; false if somebody opened
    /// it since.
    pub fn go(&self, round: u64) -> bool {
        self.turn(round, GONE)
    }

    /// One step, if it is still where it is thought to be; a lost race means
    /// that somebody who uses the value came first. Wait-free.
    fn turn(&self, from: u64, to: u64) -> bool {
        // ORDERING: Relaxed: one word decides, and the collector's barrier
        // orders a closing before the look at who is inside.
        self.0
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}
