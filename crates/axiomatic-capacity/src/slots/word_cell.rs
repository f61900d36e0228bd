use axiomatic_core::sync::{AtomicU64, Ordering};

/// How many slots there are, how many are taken, and whether somebody waits,
/// in one word: to be let in, and to learn that a slot that is given back is
/// waited for, are single steps.
///
/// Layout    | 63 somebody waits | 62..32 taken | 31..0 limit |
/// Invariant taken grows only while it stays within the limit, but for what
///           is [taken beyond](Word::take_beyond) it; it exceeds a limit that
///           was lowered until enough was given back.
/// Writers   `try_take` (hot), `take_beyond`, `give_back` (hot), `set_waiting`,
///           `set_limit`. Readers `load`.
/// Orderings `give_back` releases and `try_take` acquires: who gets a slot
///           sees what was done under it before, also if it has come from
///           another word by `set_limit`. Whether somebody waits is
///           written under the queue's lock, and whoever reads it here goes
///           there.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Word(AtomicU64);

/// A word, unpacked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Look(u64);

const WAITING: u64 = 1 << 63;
const TAKEN_SHIFT: u32 = 32;
const TAKEN: u64 = 0x7fff_ffff;
const LIMIT: u64 = 0xffff_ffff;

/// More slots than these nobody needs, and twice as many can be counted: what
/// is taken, also beyond the limit, never runs into the bit above it.
pub(crate) const MOST_SLOTS: u32 = (1 << 30) - 1;

/// Whether a slot that is free may be taken although others wait.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Behind,
    Ahead,
}

impl Word {
    pub(super) fn new(limit: u32) -> Self {
        Word(AtomicU64::new(u64::from(limit)))
    }

    #[inline(always)]
    pub(super) fn load(&self) -> Look {
        // ORDERING: Relaxed: a look; an exchange on its strength fails if it
        // is stale, and a refusal reads no other memory.
        Look(self.0.load(Ordering::Relaxed))
    }

    /// Takes slots if there are so many, and nobody waits or that does not
    /// matter; or else says how it stood.
    ///
    /// Linearises at the exchange, or at the load that refuses. A lost race
    /// means that another took or gave back, and is judged anew. Lock-free.
    #[inline(always)]
    pub(super) fn try_take(&self, weight: u32, pass: Pass) -> Result<(), Look> {
        let mut look = self.load();
        loop {
            if !look.has(weight) || (look.is_waited_for() && pass == Pass::Behind) {
                return Err(look);
            }
            let more = look.0 + (u64::from(weight) << TAKEN_SHIFT);
            // ORDERING: Acquire: observes what was done under the slot before;
            // pairs with the Release in `give_back`. Relaxed on failure: as
            // `load`.
            let exchanged =
                self.0
                    .compare_exchange_weak(look.0, more, Ordering::Acquire, Ordering::Relaxed);
            match exchanged {
                Ok(_) => return Ok(()),
                Err(now) => look = Look(now),
            }
        }
    }

    /// Takes slots only if the word is still as it was seen.
    pub(super) fn take_from(&self, look: Look, weight: u32) -> bool {
        let more = look.0 + (u64::from(weight) << TAKEN_SHIFT);
        // ORDERING: Acquire: as in `try_take`. Relaxed on failure: looked at
        // again.
        self.0
            .compare_exchange(look.0, more, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes slots, whether they are there or not. Wait-free. The caller has
    /// them already by another word, or gives them back itself.
    pub(super) fn take_beyond(&self, weight: u32) {
        // ORDERING: Relaxed: a count; what was done under the slot before was
        // observed where it was taken, by the Acquire of the other word.
        self.0
            .fetch_add(u64::from(weight) << TAKEN_SHIFT, Ordering::Relaxed);
    }

    /// Gives slots back, and says how it stood before. Wait-free.
    #[inline(always)]
    pub(super) fn give_back(&self, weight: u32) -> Look {
        // ORDERING: Release: publishes what was done under the slot; pairs
        // with the Acquire in `try_take`.
        Look(
            self.0
                .fetch_sub(u64::from(weight) << TAKEN_SHIFT, Ordering::Release),
        )
    }

    /// Says whether somebody waits. Under the queue's lock.
    pub(super) fn set_waiting(&self, waiting: bool) {
        if waiting {
            // ORDERING: Relaxed: whoever sees it takes the queue's lock, and
            // sees the queue by that. All of this is one word: a slot given
            // back before is found by the take that follows, one given back
            // after sees the bit.
            self.0.fetch_or(WAITING, Ordering::Relaxed);
        } else {
            // ORDERING: Relaxed: as above; who saw the bit and finds nobody
            // does nothing.
            self.0.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }

    /// Changes the limit, and says how it stood before. Under the queue's
    /// lock. Lock-free, and only takers and givers race with it.
    pub(super) fn set_limit(&self, limit: u32) -> Look {
        let mut look = self.load();
        loop {
            let changed = look.0 & !LIMIT | u64::from(limit);
            // ORDERING: Acquire: a guarantee that shrinks leaves a slot to all,
            // who must see what was done under it; pairs with the Release in
            // `give_back`, and the one by which the common word is told passes
            // it on. Relaxed on failure: as `load`.
            match self.0.compare_exchange_weak(
                look.0,
                changed,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return look,
                Err(now) => look = Look(now),
            }
        }
    }
}

impl Look {
    #[inline(always)]
    pub(super) fn taken(self) -> u32 {
        (self.0 >> TAKEN_SHIFT & TAKEN) as u32
    }

    #[inline(always)]
    pub(super) fn limit(self) -> u32 {
        (self.0 & LIMIT) as u32
    }

    #[inline(always)]
    pub(super) fn is_waited_for(self) -> bool {
        self.0 & WAITING != 0
    }

    /// Whether so many more fit.
    #[inline(always)]
    pub(super) fn has(self, weight: u32) -> bool {
        u64::from(self.taken()) + u64::from(weight) <= u64::from(self.limit())
    }

    /// What is taken beyond the limit if so many are.
    pub(super) fn beyond(self, taken: u32) -> u32 {
        taken.saturating_sub(self.limit())
    }
}
