use crate::sync::{AtomicU64, Ordering, spread, thread_index};

/// Calls under way, counted on lines that threads do not share, and the extra
/// attempts among them, counted in one word.
#[derive(Debug)]
pub(super) struct Traffic {
    lines: Box<[Line]>,
    extras: Extras,
}

/// One thread's calls.
///
/// Layout    begun: calls that began here; ended: calls that ended here,
///           wherever they began. Two cache lines, because processors fetch
///           them in pairs.
/// Invariant neither decreases; summed over all lines, what has ended had
///           begun.
/// Writers   `begin`, `end`. Readers `begun`, `ended`.
/// Orderings `begin` releases the ends before it, `begun` acquires them: of a
///           call that began after another had ended, no reader counts both.
#[derive(Debug)]
#[repr(align(128))]
struct Line {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Traffic {
    pub(super) fn new() -> Self {
        let line = |_| Line {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        };
        Traffic {
            lines: (0..spread()).map(line).collect(),
            extras: Extras(AtomicU64::new(0)),
        }
    }

    #[inline(always)]
    fn own(&self) -> &Line {
        &self.lines[thread_index() & (self.lines.len() - 1)]
    }

    #[inline(always)]
    pub(super) fn begin(&self) {
        self.own().begin();
    }

    #[inline(always)]
    pub(super) fn end(&self) {
        self.own().end();
    }

    /// Calls under way: never more than there were at the moment between the
    /// two sums, since what began is read before what ended.
    pub(super) fn calls(&self) -> u64 {
        let sum = |count: fn(&Line) -> u64| self.lines.iter().map(count).fold(0, u64::wrapping_add);
        let begun = sum(Line::begun);
        let under_way = begun.wrapping_sub(sum(Line::ended));
        // Negative: of calls that came and went meanwhile, only the end was
        // seen.
        (under_way as i64).max(0) as u64
    }

    pub(super) fn extras(&self) -> u64 {
        self.extras.load()
    }

    /// Takes a place among the extra attempts, if `allows` that many of this
    /// many calls.
    pub(super) fn take(&self, allows: impl Fn(u64, u64) -> bool) -> bool {
        let calls = self.calls();
        self.extras.take(|extras| allows(extras, calls))
    }

    pub(super) fn give_back(&self) {
        self.extras.give_back();
    }
}

impl Line {
    #[inline(always)]
    fn begin(&self) {
        // ORDERING: Release: who sees this call begin sees the end of those
        // that ended before; pairs with the Acquire in `begun`.
        self.begun.fetch_add(1, Ordering::Release);
    }

    #[inline(always)]
    fn end(&self) {
        // ORDERING: Relaxed: published by the next `begin`; seen late, a call
        // that ended counts a little longer.
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn begun(&self) -> u64 {
        // ORDERING: Acquire: the ends that are read next are no older than
        // this; pairs with the Release in `begin`.
        self.begun.load(Ordering::Acquire)
    }

    fn ended(&self) -> u64 {
        // ORDERING: Relaxed: after the Acquire in `begun`.
        self.ended.load(Ordering::Relaxed)
    }
}

/// Extra attempts under way or waited for.
///
/// Layout    the count.
/// Invariant no more than were allowed when the last one was taken.
/// Writers   `take`, `give_back`. Readers `load`.
/// Orderings all Relaxed: the word is all there is.
#[derive(Debug)]
#[repr(align(128))]
struct Extras(AtomicU64);

impl Extras {
    fn load(&self) -> u64 {
        // ORDERING: Relaxed: a number.
        self.0.load(Ordering::Relaxed)
    }

    /// Linearises at the exchange; a lost race means that another took or
    /// gave back: lock-free. The calls were counted before, and were as many
    /// at a moment after the caller asked.
    fn take(&self, allows: impl Fn(u64) -> bool) -> bool {
        let mut extras = self.load();
        loop {
            if !allows(extras + 1) {
                return false;
            }
            // ORDERING: Relaxed: the word is all there is.
            match self.0.compare_exchange_weak(
                extras,
                extras + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(current) => extras = current,
            }
        }
    }

    /// Wait-free.
    fn give_back(&self) {
        // ORDERING: Relaxed: the word is all there is.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
