//! How much was added in all.

use axiomatic_core::sync::{AtomicU64, Ordering, spread, thread_index};

/// A thread tells the others once it has so much to tell.
const BATCH: u64 = 64;

/// Set while the counters are being halved.
const AGEING: u64 = 1 << 63;
/// No total is higher: it stays there.
const MOST: u64 = AGEING - 1;

/// What was added, halved with each ageing.
///
/// Layout    | 63 an ageing is under way | 62..0 what threads have told |, and
///           for each of the first threads a line with less than `BATCH` that
///           it has not told yet.
/// Invariant what has been told and what has not been told are together no less
///           than the counters of a row are together, rounding apart; at most
///           one ageing is under way.
/// Writers   `add`, `claim`, `halve`; a thread's line is written by that live
///           thread alone, so that it needs no atomic step.
/// Readers   `at_most`, `about`.
/// Orderings `halve` releases, `at_most` acquires: who sees the halved total
///           sees the halved counters.
#[derive(Debug)]
pub(super) struct Total {
    told: AtomicU64,
    lines: Box<[Untold]>,
}

/// Alone on two cache lines, because processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Untold(AtomicU64);

impl Total {
    pub(super) fn new() -> Self {
        // Loom's threads may share an index, and shuttle's do.
        let is_modelled = cfg!(any(axiomatic_loom, axiomatic_shuttle));
        let lines = if is_modelled { 0 } else { spread() };
        Total {
            told: AtomicU64::new(0),
            lines: (0..lines).map(|_| Untold(AtomicU64::new(0))).collect(),
        }
    }

    /// Adds so much. Says what has been told in all if this was told too, which
    /// it is once in a while, and no ageing is under way.
    #[inline(always)]
    pub(super) fn add(&self, count: u32) -> Option<u64> {
        let mut count = u64::from(count);
        if let Some(line) = self.lines.get(thread_index()) {
            // ORDERING: Relaxed: a statistic, of this thread alone.
            count += line.0.load(Ordering::Relaxed);
            let untold = if count < BATCH { count } else { 0 };
            // ORDERING: Relaxed: as the load.
            line.0.store(untold, Ordering::Relaxed);
            if count < BATCH {
                return None;
            }
        }
        let told = self.tell(count);
        (told & AGEING == 0).then_some(told)
    }

    /// What was added, at most: what threads have not told may be missing from
    /// the word, but not from this.
    #[inline(always)]
    pub(super) fn at_most(&self) -> u64 {
        let untold = (BATCH - 1) * self.lines.len() as u64;
        // ORDERING: Acquire: who sees the halved total sees the halved
        // counters; pairs with the Release in `halve`, which all others that
        // write this word hand on.
        (self.told.load(Ordering::Acquire) & MOST) + untold
    }

    /// What was added: exactly, while nobody adds.
    pub(super) fn about(&self) -> u64 {
        let lines = self.lines.iter();
        // ORDERING: Relaxed: a statistic.
        let untold: u64 = lines.map(|line| line.0.load(Ordering::Relaxed)).sum();
        // ORDERING: Relaxed: a statistic.
        let told = self.told.load(Ordering::Relaxed) & MOST;
        told.saturating_add(untold)
    }

    /// Begins an ageing, unless one is under way or the total is below `least`.
    /// Who gets the total halves the counters and hands it to `halve`.
    pub(super) fn claim(&self, least: u64) -> Option<u64> {
        let claimed =
            self.change(|told| (told & AGEING == 0 && told >= least).then_some(told | AGEING));
        claimed.map(|told| told & MOST)
    }

    /// Ends the ageing that was claimed at this total: takes half of that off,
    /// rounded down. What was added meanwhile stays whole, whether its counters
    /// were halved or not: the total may be too high, and never too low.
    pub(super) fn halve(&self, claimed: u64) {
        // The total has not fallen since the claim, nor is the bit cleared by
        // anybody else.
        // ORDERING: Release: publishes the halved counters; pairs with the
        // Acquire in `at_most`.
        let _ = self.told.fetch_sub(AGEING + claimed / 2, Ordering::Release);
    }

    #[cold]
    fn tell(&self, count: u64) -> u64 {
        let told = self.change(|told| {
            let total = (told & MOST).saturating_add(count).min(MOST);
            Some((told & AGEING) | total)
        });
        told.unwrap_or_default()
    }

    /// Replaces the word by what `f` makes of it, and says what that was.
    ///
    /// Linearises at the exchange. A lost race is another's count, or another's
    /// ageing, of which `f` is then told. Lock-free: one that loses lets
    /// another get on.
    fn change(&self, f: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        // ORDERING: Relaxed: the exchange tells if it was not the newest.
        let mut told = self.told.load(Ordering::Relaxed);
        loop {
            let changed = f(told)?;
            let exchange = self.told.compare_exchange_weak(
                told,
                changed,
                // ORDERING: Relaxed: a statistic, and a claim whose holder
                // halves by steps that see the newest counts.
                Ordering::Relaxed,
                // ORDERING: Relaxed: only to try again.
                Ordering::Relaxed,
            );
            match exchange {
                Ok(_) => return Some(changed),
                Err(now) => told = now,
            }
        }
    }
}
