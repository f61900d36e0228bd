use axiomatic_core::sync::{AtomicU32, AtomicU64, Ordering, spread, thread_index};
use axiomatic_core::time::Instant;

use super::buckets::{BUCKETS, Totals, bucket};

/// What is counted of the calls of a window, on lines of the threads' own.
///
/// Counts are never taken back: a window is the difference between two
/// readings. So a line is written by its thread alone, with plain loads and
/// stores; threads that have no line of their own share the last one, and
/// write it by atomic steps.
pub(super) struct Window {
    lines: Box<[Line]>,
    shared: Line,
    turn: Turn,
}

/// When a window ends, and which it is.
///
/// Layout    `due`: nanoseconds; `number`: how many windows have ended, modulo
///           2^15.
/// Invariant none: who sees an older one counts for the window that ended,
///           which is where it may belong.
/// Writers   `begin`, one thread at a time. Readers `is_due`, `number`.
/// Orderings all Relaxed: on their strength only numbers are read.
#[repr(align(128))]
struct Turn {
    due: AtomicU64,
    number: AtomicU64,
}

/// One thread's counts, on cache lines of their own.
#[repr(align(128))]
struct Line {
    latencies: Box<[Count]>,
    failed: Count,
    dropped: Count,
    turned_away: Count,
    shortest: Extreme,
    most_in_flight: Extreme,
}

impl Window {
    pub(super) fn new(due: Instant) -> Self {
        // Loom's threads may share an index, and shuttle's do.
        let is_modelled = cfg!(any(axiomatic_loom, axiomatic_shuttle));
        let lines = if is_modelled { 0 } else { spread() };
        Window {
            lines: (0..lines).map(|_| Line::new()).collect(),
            shared: Line::new(),
            turn: Turn {
                due: AtomicU64::new(due.as_nanos()),
                number: AtomicU64::new(0),
            },
        }
    }

    /// A call was answered after so many nanoseconds.
    #[inline(always)]
    pub(super) fn answered(&self, nanos: u64) {
        let (line, owner) = self.line();
        line.latencies[bucket(nanos)].count(owner);
        line.shortest.lower(self.turn.number(), nanos, owner);
    }

    pub(super) fn failed(&self) {
        let (line, owner) = self.line();
        line.failed.count(owner);
    }

    pub(super) fn dropped(&self) {
        let (line, owner) = self.line();
        line.dropped.count(owner);
    }

    #[inline]
    pub(super) fn turned_away(&self) {
        let (line, owner) = self.line();
        line.turned_away.count(owner);
    }

    /// So many are in flight.
    #[inline(always)]
    pub(super) fn in_flight(&self, count: u32) {
        let (line, owner) = self.line();
        let number = self.turn.number();
        line.most_in_flight.raise(number, u64::from(count), owner);
    }

    #[inline(always)]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        // ORDERING: Relaxed: a hint; who takes the lock looks again.
        now.as_nanos() >= self.turn.due.load(Ordering::Relaxed)
    }

    /// Looks again at this time. Under the lock of the control.
    pub(super) fn put_off(&self, due: Instant) {
        // ORDERING: Relaxed: a hint.
        self.turn.due.store(due.as_nanos(), Ordering::Relaxed);
    }

    /// Another window has begun. Under the lock of the control.
    pub(super) fn begin(&self, due: Instant) {
        self.put_off(due);
        let number = self.turn.number() + 1;
        // ORDERING: Relaxed: a number; see [`Turn`].
        self.turn.number.store(number & TAG, Ordering::Relaxed);
    }

    /// All that was ever counted, and the extremes of this window.
    pub(super) fn read(&self, totals: &mut Totals) {
        let number = self.turn.number();
        totals.clear();
        for line in self.lines.iter().chain([&self.shared]) {
            for (total, count) in totals.latencies.iter_mut().zip(&line.latencies) {
                *total = total.wrapping_add(count.load());
            }
            totals.failed = totals.failed.wrapping_add(line.failed.load());
            totals.dropped = totals.dropped.wrapping_add(line.dropped.load());
            totals.turned_away = totals.turned_away.wrapping_add(line.turned_away.load());
            let shortest = line.shortest.read(number);
            totals.shortest = [totals.shortest, shortest].into_iter().flatten().min();
            let most = line.most_in_flight.read(number).unwrap_or(0);
            totals.most_in_flight = totals.most_in_flight.max(most as u32);
        }
    }

    #[inline(always)]
    fn line(&self) -> (&Line, Owner) {
        match self.lines.get(thread_index()) {
            Some(line) => (line, Owner::Alone),
            None => (&self.shared, Owner::Many),
        }
    }
}

impl Turn {
    #[inline(always)]
    fn number(&self) -> u64 {
        // ORDERING: Relaxed: a number; see [`Turn`].
        self.number.load(Ordering::Relaxed)
    }
}

impl Line {
    fn new() -> Self {
        Line {
            latencies: (0..BUCKETS).map(|_| Count::new()).collect(),
            failed: Count::new(),
            dropped: Count::new(),
            turned_away: Count::new(),
            shortest: Extreme::new(),
            most_in_flight: Extreme::new(),
        }
    }
}

/// Whether a line is written by one live thread alone, or by several.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Owner {
    Alone,
    Many,
}

/// A count.
///
/// Layout    the count, modulo 2^32.
/// Invariant only grows.
/// Writers   `count`. Readers `load`.
/// Orderings all Relaxed: a statistic, of which a reading may miss the latest.
struct Count(AtomicU32);

impl Count {
    fn new() -> Self {
        Count(AtomicU32::new(0))
    }

    #[inline(always)]
    fn count(&self, owner: Owner) {
        match owner {
            Owner::Alone => {
                let counted = self.load();
                // ORDERING: Relaxed: a statistic, of this thread alone.
                self.0.store(counted.wrapping_add(1), Ordering::Relaxed);
            }
            // ORDERING: Relaxed: a statistic.
            Owner::Many => drop(self.0.fetch_add(1, Ordering::Relaxed)),
        }
    }

    #[inline(always)]
    fn load(&self) -> u32 {
        // ORDERING: Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}

/// The least or the greatest of a window.
///
/// Layout    | 63..48 the window's number and one, so that 0 is none | 47..0
///           the value |
/// Invariant of another window, it is as good as none.
/// Writers   `lower`, `raise`; `read`, which clears one of another window: or
///           that of a thread that is idle for 2^15 of them would be believed.
/// Readers   `read`.
/// Orderings all Relaxed: a statistic.
struct Extreme(AtomicU64);

const VALUE_BITS: u32 = 48;
const VALUE: u64 = (1 << VALUE_BITS) - 1;
/// One less than there are tags, of which one is none.
const TAG: u64 = 0x7fff;

impl Extreme {
    fn new() -> Self {
        Extreme(AtomicU64::new(0))
    }

    #[inline(always)]
    fn lower(&self, number: u64, value: u64, owner: Owner) {
        self.replace(number, value.min(VALUE), owner, |new, old| new < old);
    }

    #[inline(always)]
    fn raise(&self, number: u64, value: u64, owner: Owner) {
        self.replace(number, value.min(VALUE), owner, |new, old| new > old);
    }

    /// A lost race is judged anew. Lock-free.
    #[inline(always)]
    fn replace(&self, number: u64, value: u64, owner: Owner, better: impl Fn(u64, u64) -> bool) {
        let new = (number + 1) << VALUE_BITS | value;
        // ORDERING: Relaxed: a statistic.
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            let is_of_window = old >> VALUE_BITS == number + 1;
            if is_of_window && !better(value, old & VALUE) {
                return;
            }
            if owner == Owner::Alone {
                // ORDERING: Relaxed: a statistic, of this thread alone.
                return self.0.store(new, Ordering::Relaxed);
            }
            // ORDERING: Relaxed: a statistic.
            let exchanged =
                self.0
                    .compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed);
            match exchanged {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    fn read(&self, number: u64) -> Option<u64> {
        // ORDERING: Relaxed: a statistic.
        let word = self.0.load(Ordering::Relaxed);
        if word >> VALUE_BITS == number + 1 {
            return Some(word & VALUE);
        }
        if word != 0 {
            // Where the owner writes meanwhile, what it writes stays: this
            // exchange fails, or comes before.
            // ORDERING: Relaxed: a statistic.
            let _cleared = self
                .0
                .compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        None
    }
}

#[cfg(all(test, not(any(axiomatic_loom, axiomatic_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn an_extreme_of_long_ago_is_none_however_many_windows_have_ended() {
        let window = Window::new(Instant::from_nanos(0));
        window.answered(1_000_000);
        window.in_flight(7);
        for ended in 0..=TAG {
            window.begin(Instant::from_nanos(0));
            // Read each time, but for the time that this takes.
            if ended % 1_000 > 0 && ended < TAG {
                continue;
            }
            let mut totals = Totals::new();
            window.read(&mut totals);
            assert_eq!((totals.shortest, totals.most_in_flight), (None, 0));
        }
    }
}
