use crate::sync::{AtomicU64, Ordering};

/// Which rounds of closing have had their grace: everybody who may have found
/// a value live that was closed in that round, or an earlier one, has left.
///
/// A round is told by tickets. They are retired after the round's closings,
/// and the collector drops what is retired when all have left who were inside
/// at that time.
///
/// Layout    passed: the latest round with a dropped ticket;
///           out: how many tickets are not dropped.
/// Invariant `passed` never decreases.
/// Writers   `issue`, `pass`. Readers `has_passed`, `out`.
/// Orderings `pass` releases, `has_passed` acquires: the hand sees what was
///           done to a value by those who have left.
#[derive(Debug)]
pub struct Graces {
    passed: AtomicU64,
    out: AtomicU64,
}

impl Graces {
    /// No round yet; the first is 1.
    #[expect(clippy::new_without_default, reason = "it is always made by name")]
    pub fn new() -> Self {
        Graces {
            passed: AtomicU64::new(0),
            out: AtomicU64::new(0),
        }
    }

    /// A ticket was made.
    pub fn issue(&self) {
        // ORDERING: Relaxed: a count; its bound is a matter of memory.
        self.out.fetch_add(1, Ordering::Relaxed);
    }

    /// A ticket of this round was dropped.
    pub fn pass(&self, round: u64) {
        // ORDERING: Release: publishes what those did who were inside; pairs
        // with the Acquire in `has_passed`.
        self.passed.fetch_max(round, Ordering::Release);
        // ORDERING: Relaxed: a count.
        self.out.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether everybody has left who was inside when this round closed.
    pub fn has_passed(&self, round: u64) -> bool {
        // ORDERING: Acquire: observes what those did who were inside; pairs
        // with the Release in `pass`.
        self.passed.load(Ordering::Acquire) >= round
    }

    /// How many tickets are not dropped.
    pub fn out(&self) -> u64 {
        // ORDERING: Relaxed: a count.
        self.out.load(Ordering::Relaxed)
    }
}
