use crate::number_cell::Setting;
use crate::sync::{AtomicU64, Ordering, spread, thread_index};
use crate::time::Instant;

/// Deposits that last for a while, and what was spent of them.
///
/// All that was ever deposited lies on one line, in the order in which it
/// came, in thousandths of a token. Three marks move along it and never
/// overtake one another: what has expired, what is spent, what is deposited.
/// To spend a token is to move the second by a thousand, past what has
/// expired, unless that passes the third: one exchange of one word, and the
/// moment at which it takes place.
///
/// What is deposited is summed from the threads' lines; a sum that races
/// with deposits misses some, and has none too many.
#[derive(Debug)]
#[expect(unnameable_types, reason = "the inside of `RetryBudget`")]
pub struct Account {
    head: Head,
    /// When the newest slice ends, for calls that only deposit. It may lag
    /// behind the head, and then somebody looks there.
    ends: Setting,
    /// What a call deposits.
    deposit: Setting,
    /// What time deposits, in tokens a second.
    floor: Setting,
    slice: u64,
    lines: Box<[Line]>,
    marks: [Mark; PLACES],
    spent: Position,
}

/// A deposit lasts so many slices, the one in which it came among them.
pub(super) const SLICES: u64 = 10;
/// The next power of two, so that a slice's mark is a mask away.
const PLACES: usize = 16;

/// What a token costs.
pub(super) const TOKEN: u64 = 1_000;

impl Account {
    pub(super) fn new(slice: u64, deposit: u64, floor: u64) -> Self {
        Account {
            head: Head(AtomicU64::new(0)),
            ends: Setting::new(slice),
            deposit: Setting::new(deposit),
            floor: Setting::new(floor),
            slice,
            lines: (0..spread()).map(|_| Line(AtomicU64::new(0))).collect(),
            marks: std::array::from_fn(|_| Mark(AtomicU64::new(0))),
            spent: Position(AtomicU64::new(0)),
        }
    }

    pub(super) fn slice(&self) -> u64 {
        self.slice
    }

    pub(super) fn update(&self, deposit: u64, floor: u64) {
        self.deposit.store(deposit);
        self.floor.store(floor);
    }

    /// A call deposits its share.
    #[inline(always)]
    pub(super) fn deposit(&self, now: Instant) {
        if now.as_nanos() >= self.ends.load() {
            self.follow(now);
        }
        self.own().add(self.deposit.load());
    }

    /// Spends a token, if there is one.
    ///
    /// Linearises at the exchange of what is spent; a lost race means that
    /// another spent or returned one: lock-free. What had expired and what
    /// was deposited are read before, and only grow: what is spent was
    /// deposited, and had not expired when the caller asked.
    pub(super) fn spend(&self, now: Instant) -> bool {
        if !self.is_newest(now) {
            self.follow(now);
        }
        let mut spent = self.spent.load();
        loop {
            let next = spent.max(self.expired()).saturating_add(TOKEN);
            if next > self.deposited() {
                return false;
            }
            match self.spent.move_to(spent, next) {
                Ok(()) => return true,
                Err(current) => spent = current,
            }
        }
    }

    /// Returns a token that was spent. If it has expired meanwhile, it stays
    /// behind that mark.
    pub(super) fn return_token(&self) {
        self.spent.return_token();
    }

    /// What there is to spend.
    pub(super) fn balance(&self, now: Instant) -> u64 {
        self.follow(now);
        let gone = self.spent.load().max(self.expired());
        self.deposited().saturating_sub(gone)
    }

    /// All that was ever deposited.
    pub(super) fn deposited(&self) -> u64 {
        self.lines
            .iter()
            .map(Line::load)
            .fold(0, u64::saturating_add)
    }

    /// What was deposited before the oldest slice that counts.
    fn expired(&self) -> u64 {
        let oldest = (self.head.load() + 1).saturating_sub(SLICES);
        self.mark(oldest).load()
    }

    fn mark(&self, slice: u64) -> &Mark {
        &self.marks[slice as usize % PLACES]
    }

    #[inline(always)]
    fn own(&self) -> &Line {
        &self.lines[thread_index() & (self.lines.len() - 1)]
    }

    /// Whether `now` lies in the newest slice: by a multiplication, since the
    /// division that tells the slice costs as much as all else here.
    fn is_newest(&self, now: Instant) -> bool {
        let began = self.head.glance().wrapping_mul(self.slice);
        now.as_nanos().wrapping_sub(began) < self.slice
    }

    /// Begins the slice of `now`, unless it has begun. Time that runs
    /// backwards finds that it has.
    #[cold]
    fn follow(&self, now: Instant) {
        let slice = now.as_nanos() / self.slice;
        self.begin_slice(slice);
        // Of the head as it is now, or was when a thread slept here: then the
        // next call comes here once more.
        let next = (self.head.glance() + 1).saturating_mul(self.slice);
        if self.ends.load() != next {
            self.ends.store(next);
        }
    }

    /// Marks how far the deposits went when each slice began, as far as
    /// anybody will ask, then moves the head, then deposits what time does:
    /// once, by whoever moved it. A thread that lost looks again.
    ///
    /// Marks only grow, and one that was taken late expires too much and not
    /// too little. Time's deposit counts in the slice in which it comes.
    fn begin_slice(&self, slice: u64) {
        loop {
            let head = self.head.glance();
            if head >= slice {
                return;
            }
            let floor = self.floor.load();
            let first = head.max(slice.saturating_sub(SLICES));
            let deposited = self.deposited();
            for begun in first + 1..=slice {
                let by_time = self.by_time(floor, first, begun - 1);
                // Whoever moved it on has deposited, and what was summed may
                // contain it.
                if self.head.glance() != head {
                    break;
                }
                self.mark(begun).move_to(deposited.saturating_add(by_time));
            }
            if self.head.advance(head, slice) {
                self.own().add(self.by_time(floor, first, slice));
                return;
            }
        }
    }

    /// What time deposits after one slice up to another: a difference of
    /// totals, so that what is rounded off comes later.
    fn by_time(&self, floor: u64, after: u64, to: u64) -> u64 {
        let total = |slice: u64| {
            let nanos = u128::from(slice) * u128::from(self.slice);
            nanos * u128::from(floor) * u128::from(TOKEN) / 1_000_000_000
        };
        (total(to) - total(after)) as u64
    }
}

/// One thread's deposits, alone on two cache lines, because processors fetch
/// them in pairs.
///
/// Layout    thousandths of tokens; room for 1.8e16 tokens.
/// Invariant never decreases.
/// Writers   `add`. Readers `load`.
/// Orderings all Relaxed: a sum that misses a deposit spends too little.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Line {
    #[inline(always)]
    fn add(&self, thousandths: u64) {
        // ORDERING: Relaxed: a count; who misses it spends too little.
        self.0.fetch_add(thousandths, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        // ORDERING: Relaxed: what was read was deposited, which is all that
        // anybody relies on.
        self.0.load(Ordering::Relaxed)
    }
}

/// The newest slice that has begun.
///
/// Layout    the number of the slice, by the origin of time.
/// Invariant never decreases; the marks up to it, back to [`SLICES`], are set.
/// Writers   `advance`. Readers `load`, `glance`.
/// Orderings `advance` releases the marks, `load` acquires them.
#[derive(Debug)]
struct Head(AtomicU64);

impl Head {
    #[inline(always)]
    fn glance(&self) -> u64 {
        // ORDERING: Relaxed: on its strength nothing is read; the exchange
        // fails on a stale value.
        self.0.load(Ordering::Relaxed)
    }

    fn load(&self) -> u64 {
        // ORDERING: Acquire: observes the marks; pairs with the Release in
        // `advance`.
        self.0.load(Ordering::Acquire)
    }

    /// Moves it, if it stands where it stood. A lost race means that another
    /// did, perhaps not as far.
    fn advance(&self, from: u64, to: u64) -> bool {
        // ORDERING: Release: publishes the marks; pairs with the Acquire in
        // `load`. Relaxed on failure: looked at again.
        self.0
            .compare_exchange(from, to, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }
}

/// How far the deposits went when a slice began.
///
/// Layout    thousandths of tokens; the slot of slice n is n mod 16.
/// Invariant never decreases: a writer that slept changes nothing.
/// Writers   `move_to`. Readers `load`.
/// Orderings published by the head.
#[derive(Debug)]
struct Mark(AtomicU64);

impl Mark {
    fn move_to(&self, deposited: u64) {
        // ORDERING: Relaxed: published by the head, which moves afterwards
        // with a Release.
        self.0.fetch_max(deposited, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        // ORDERING: Relaxed: after the head, which is acquired. One of a
        // later slice expires too much.
        self.0.load(Ordering::Relaxed)
    }
}

/// How far the deposits are spent, alone on its lines.
///
/// Layout    thousandths of tokens.
/// Invariant no further than the deposits; a token moves it on once, and back
///           at most once.
/// Writers   `move_to`, `return_token`. Readers `load`.
/// Orderings all Relaxed: the word is all there is.
#[derive(Debug)]
#[repr(align(128))]
struct Position(AtomicU64);

impl Position {
    fn load(&self) -> u64 {
        // ORDERING: Relaxed: the exchange fails on any stale value.
        self.0.load(Ordering::Relaxed)
    }

    fn move_to(&self, from: u64, to: u64) -> Result<(), u64> {
        // ORDERING: Relaxed: the word is all there is. That it may have been
        // elsewhere meanwhile is harmless: it decides by its value alone.
        self.0
            .compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .map(drop)
    }

    /// Wait-free.
    fn return_token(&self) {
        // ORDERING: Relaxed: the word is all there is.
        self.0.fetch_sub(TOKEN, Ordering::Relaxed);
    }
}
