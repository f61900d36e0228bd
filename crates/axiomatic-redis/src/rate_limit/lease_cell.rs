use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

/// The most tokens that a lease can hold.
pub(super) const MOST: u32 = (1 << TOKENS) - 1;

const TOKENS: u32 = 20;
const UNTIL: u32 = 42;
const LIMITED: u64 = 1 << (TOKENS + UNTIL);
const ASKING: u64 = LIMITED << 1;

/// Time is counted in steps of 1.05 ms, rounded down: 146 years fit.
const STEP: u32 = 20;

/// The tokens of a key that a process has taken and not yet spent; or until
/// when there are none to be had.
///
/// Layout    | 63 somebody asks Redis | 62 limited | 61..20 until, in steps of
///           2^20 ns | 19..0 tokens |. What is limited has no tokens.
/// Invariant tokens are spent before `until` and never after, each once; one
///           caller asks at a time.
/// Writers   `spend`, and the one who asks: `granted`, `limited`, `released`;
///           `unlimited`, `take_expired` and `take_all` of who gives back.
///           Readers `is_idle`, `tokens`.
/// Orderings all Relaxed: the word is all there is.
///
/// Each loop is lock-free and linearises at its exchange. A race that is lost
/// is another's step, and the decision is made anew from what that one left.
#[derive(Debug, Default)]
pub(super) struct LeaseCell(AtomicU64);

/// What came of asking a lease.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// It had enough, and has so many left.
    Paid(u32),
    /// Redis said that there are none before then.
    Limited(Instant),
    /// It has not, and this caller may ask for more; whoever gets this says
    /// what came of it. So many tokens had expired, and are the caller's to
    /// give back.
    Ask(u32),
    /// It has not, and somebody else is asking for more.
    Busy,
}

#[derive(Copy, Clone)]
struct Word(u64);

impl Word {
    fn tokens(self) -> u32 {
        (self.0 & u64::from(MOST)) as u32
    }

    fn until(self) -> u64 {
        (self.0 & (LIMITED - 1)) >> TOKENS
    }

    fn is_over(self, now: Instant) -> bool {
        self.until() <= step(now)
    }

    fn is_limited(self) -> bool {
        self.0 & LIMITED != 0
    }

    fn is_asked(self) -> bool {
        self.0 & ASKING != 0
    }

    fn live(self, now: Instant) -> u32 {
        if self.is_over(now) { 0 } else { self.tokens() }
    }

    fn with_tokens(self, tokens: u32) -> Self {
        Word(self.0 & !u64::from(MOST) | u64::from(tokens))
    }

    fn holding(tokens: u32, until: Instant) -> Self {
        Word(step(until) << TOKENS | u64::from(tokens))
    }
}

fn step(instant: Instant) -> u64 {
    (instant.as_nanos() >> STEP) & ((1 << UNTIL) - 1)
}

impl LeaseCell {
    /// Spends tokens, if there are enough.
    pub(super) fn spend(&self, now: Instant, cost: u32) -> Spent {
        let mut word = self.load();
        loop {
            if word.is_limited() && !word.is_over(now) {
                return Spent::Limited(Instant::from_nanos(word.until() << STEP));
            }
            let live = word.live(now);
            let (next, spent) = if live >= cost {
                let left = live - cost;
                (word.with_tokens(left), Spent::Paid(left))
            } else if word.is_asked() {
                return Spent::Busy;
            } else {
                let asked = Word(word.0 & !LIMITED | ASKING).with_tokens(live);
                (asked, Spent::Ask(word.tokens() - live))
            };
            match self.exchange(word, next) {
                Ok(()) => return spent,
                Err(current) => word = current,
            }
        }
    }

    /// The one who asked was given tokens. Returns how many had to make way:
    /// those that expired meanwhile, and what is above [`MOST`].
    pub(super) fn granted(&self, tokens: u32, now: Instant, until: Instant) -> u32 {
        let mut word = self.load();
        loop {
            let live = word.live(now);
            let sum = live.saturating_add(tokens).min(MOST);
            match self.exchange(word, Word::holding(sum, until)) {
                Ok(()) => return word.tokens() + tokens - sum,
                Err(current) => word = current,
            }
        }
    }

    /// The one who asked was told that there is not one token before then.
    pub(super) fn limited(&self, until: Instant) {
        let mut word = self.load();
        loop {
            let next = match word.tokens() {
                0 => Word(Word::holding(0, until).0 | LIMITED),
                _ => Word(word.0 & !ASKING),
            };
            match self.exchange(word, next) {
                Ok(()) => return,
                Err(current) => word = current,
            }
        }
    }

    /// The one who asked was told nothing.
    pub(super) fn released(&self) {
        // ORDERING: Relaxed: the word is all there is.
        self.0.fetch_and(!ASKING, Ordering::Relaxed);
    }

    /// There may be tokens again.
    pub(super) fn unlimited(&self) {
        // ORDERING: Relaxed: the word is all there is.
        self.0.fetch_and(!LIMITED, Ordering::Relaxed);
    }

    /// Takes what has expired, to be given back.
    pub(super) fn take_expired(&self, now: Instant) -> u32 {
        self.take(|word| word.is_over(now))
    }

    /// Takes all there is, to be given back.
    pub(super) fn take_all(&self) -> u32 {
        self.take(|_| true)
    }

    fn take(&self, takes: impl Fn(Word) -> bool) -> u32 {
        let mut word = self.load();
        while word.tokens() > 0 && takes(word) {
            match self.exchange(word, word.with_tokens(0)) {
                Ok(()) => return word.tokens(),
                Err(current) => word = current,
            }
        }
        0
    }

    /// Whether nothing is lost when it is forgotten but that Redis said no.
    pub(super) fn is_idle(&self) -> bool {
        let word = self.load();
        word.tokens() == 0 && !word.is_asked()
    }

    /// How many tokens it holds, expired or not.
    pub(super) fn tokens(&self) -> u32 {
        self.load().tokens()
    }

    fn load(&self) -> Word {
        // ORDERING: Relaxed: the word is all there is.
        Word(self.0.load(Ordering::Relaxed))
    }

    fn exchange(&self, word: Word, next: Word) -> Result<(), Word> {
        self.0
            .compare_exchange_weak(
                word.0,
                next.0,
                // ORDERING: Relaxed: the word is all there is.
                Ordering::Relaxed,
                // ORDERING: Relaxed: as the other.
                Ordering::Relaxed,
            )
            .map(drop)
            .map_err(Word)
    }
}

// The model compiles this file too, and there these would run outside of one.
#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64 as Plain, Ordering as Std};

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(3_600_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn spends_what_it_was_given_and_then_one_caller_asks() {
        let cell = LeaseCell::default();
        assert_eq!(cell.spend(at(0), 1), Spent::Ask(0));
        assert_eq!(cell.spend(at(0), 1), Spent::Busy);
        assert_eq!(cell.granted(3, at(0), at(100)), 0);
        assert_eq!(cell.spend(at(1), 2), Spent::Paid(1));
        assert_eq!(cell.spend(at(1), 2), Spent::Ask(0));
        assert_eq!(cell.spend(at(1), 1), Spent::Paid(0));
        cell.released();
        assert_eq!(cell.spend(at(1), 1), Spent::Ask(0));
    }

    #[test]
    fn what_has_expired_is_not_spent_and_is_given_back_once() {
        let cell = LeaseCell::default();
        assert_eq!(cell.spend(at(0), 1), Spent::Ask(0));
        cell.granted(5, at(0), at(50));
        assert_eq!(cell.take_expired(at(10)), 0);
        assert!(!cell.is_idle());
        assert_eq!(cell.spend(at(60), 1), Spent::Ask(5));
        assert_eq!(cell.take_expired(at(60)), 0);
        cell.granted(4, at(60), at(110));
        assert_eq!(cell.take_expired(at(200)), 4);
        assert_eq!(cell.take_all(), 0);
        assert!(cell.is_idle());
    }

    #[test]
    fn who_is_limited_is_told_until_when_without_asking() {
        let cell = LeaseCell::default();
        assert_eq!(cell.spend(at(0), 1), Spent::Ask(0));
        cell.limited(at(40));
        let Spent::Limited(until) = cell.spend(at(10), 1) else {
            panic!("it was told that there are none");
        };
        assert!(until <= at(40) && until > at(38), "{until:?}");
        assert_eq!(cell.spend(at(41), 1), Spent::Ask(0));
    }

    #[test]
    fn no_token_is_spent_twice_and_none_is_lost() {
        let cell = LeaseCell::default();
        let (given, spent, back) = (Plain::new(0), Plain::new(0), Plain::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (cell, given, spent, back) = (&cell, &given, &spent, &back);
                scope.spawn(move || {
                    for n in 0..20_000 {
                        let now = at(n / 100);
                        match cell.spend(now, 1 + (n % 3) as u32) {
                            Spent::Paid(_) => {
                                spent.fetch_add(1 + n % 3, Std::Relaxed);
                            }
                            Spent::Ask(expired) => {
                                back.fetch_add(u64::from(expired), Std::Relaxed);
                                given.fetch_add(7, Std::Relaxed);
                                // The answer takes a while, in which what is
                                // left may expire.
                                let now = at(n / 100 + 2);
                                let until = at(n / 100 + 2 + thread);
                                let lost = cell.granted(7, now, until);
                                back.fetch_add(u64::from(lost), Std::Relaxed);
                            }
                            Spent::Busy => std::thread::yield_now(),
                            Spent::Limited(_) => unreachable!("nobody said so"),
                        }
                        if n % 50 == 0 {
                            back.fetch_add(u64::from(cell.take_expired(now)), Std::Relaxed);
                        }
                    }
                });
            }
        });
        let back = back.into_inner() + u64::from(cell.take_all());
        assert_eq!(given.into_inner(), spent.into_inner() + back);
    }
}
