use axiomatic_core::sync::{AtomicU64, Ordering};

/// When the window has to be read next: as long as too few bad results have
/// come to reach a rate, nobody reads it.
///
/// Two words. `count` numbers the bad results; each takes its number after it
/// was recorded, in one chain of exchanges, so whoever has number `n` sees
/// the records of all before. `due` is the number at which to read:
///
/// Layout    | 63..24 key | 23..0 number, its low bits |
/// Invariant under its key, no rate can be reached before the number. The key
///           names a stretch in which the window's total does not shrink, and
///           a set of rules. A late store is of an earlier number, and so
///           still true.
/// Writers   `number`, `wait_for`, `clear`.
/// Orderings `number` releases the record before it and acquires those of the
///           numbers before; `due` is Relaxed, being a promise that is true
///           whenever it is read.
pub(super) struct Patience {
    count: AtomicU64,
    due: AtomicU64,
}

/// The number of a bad result, with the key of the moment.
#[derive(Copy, Clone)]
pub(super) struct Numbered {
    number: u64,
    key: u64,
}

const NUMBER_BITS: u32 = 24;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
/// Half of what the low bits can tell apart: what lies further ahead than
/// this lies behind.
const FURTHEST: u64 = 1 << (NUMBER_BITS - 1);

impl Patience {
    pub(super) fn new() -> Self {
        Patience {
            count: AtomicU64::new(0),
            due: AtomicU64::new(0),
        }
    }

    /// Numbers a bad result that was recorded.
    pub(super) fn number(&self) -> u64 {
        // ORDERING: AcqRel: publishes the record of this result, observes
        // those of all with a smaller number; pairs with itself.
        self.count.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether the window has to be read at this number.
    pub(super) fn is_due(&self, number: u64, stretch: u64, rules: u8) -> Result<(), Numbered> {
        let key = (stretch << 8 | u64::from(rules)) & (u64::MAX >> NUMBER_BITS);
        // ORDERING: Relaxed: a promise that is true whenever it is read.
        let due = self.due.load(Ordering::Relaxed);
        let ahead = due.wrapping_sub(number) & NUMBER_MASK;
        if due >> NUMBER_BITS == key && (1..FURTHEST).contains(&ahead) {
            return Ok(());
        }
        Err(Numbered { number, key })
    }

    /// Promises that no rate is reached by fewer than `more` bad results
    /// after this one.
    pub(super) fn wait_for(&self, numbered: Numbered, more: u64) {
        let number = numbered.number.wrapping_add(more.min(FURTHEST - 1)) & NUMBER_MASK;
        // ORDERING: Relaxed: a promise that is true whenever it is read.
        self.due
            .store(numbered.key << NUMBER_BITS | number, Ordering::Relaxed);
    }

    /// Takes every promise back.
    pub(super) fn clear(&self) {
        // ORDERING: Relaxed: the next bad result reads the window.
        self.due.store(0, Ordering::Relaxed);
    }
}
