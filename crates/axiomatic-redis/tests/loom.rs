//! Models of a key's lease, explored by loom: `cargo xtask loom`.
//!
//! Each is named for the invariant that it holds. The limiter itself waits for
//! tasks and sockets, which loom does not have; what its callers race for is
//! one word. So the models compile the file of that word as it ships, and time
//! is an argument there: a thread is before or after the end of a lease by what
//! it says, in every schedule.
#![cfg(axiomatic_loom)]

#[path = "../src/rate_limit/lease_cell.rs"]
mod lease_cell;

use axiomatic_core::models::{bounded_model, model};
use axiomatic_core::time::Instant;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use lease_cell::{LeaseCell, MOST, Spent};

fn at(millis: u64) -> Instant {
    Instant::from_nanos(3_600_000_000_000 + millis * 1_000_000)
}

/// Before and after the first lease ends, and when the others do.
const BEFORE: u64 = 10;
const ENDS: u64 = 50;
const AFTER: u64 = 100;
const LATER: u64 = 200;

/// A lease, and what became of its tokens.
#[derive(Default)]
struct Ledger {
    cell: LeaseCell,
    given: AtomicU32,
    spent: AtomicU32,
    back: AtomicU32,
    asking: AtomicU32,
}

impl Ledger {
    /// One that holds so many until [`ENDS`].
    fn holding(tokens: u32) -> Arc<Self> {
        let ledger = Ledger::default();
        assert_eq!(ledger.cell.spend(at(0), 1), Spent::Ask(0));
        ledger.given.store(tokens, Ordering::Relaxed);
        assert_eq!(ledger.cell.granted(tokens, at(0), at(ENDS)), 0);
        Arc::new(ledger)
    }

    fn gives_back(&self, tokens: u32) {
        self.back.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Spends, and does with leave to ask what `tells` says.
    fn spend(&self, now: u64, cost: u32, tells: impl FnOnce(&Self)) {
        match self.cell.spend(at(now), cost) {
            Spent::Paid(_) => {
                self.spent.fetch_add(cost, Ordering::Relaxed);
            }
            Spent::Ask(expired) => {
                // Nothing is ordered by these, but an increment reads the
                // latest, and this one comes after whoever asked before.
                assert_eq!(self.asking.fetch_add(1, Ordering::Relaxed), 0);
                self.gives_back(expired);
                self.asking.fetch_sub(1, Ordering::Relaxed);
                tells(self);
            }
            Spent::Busy | Spent::Limited(_) => {}
        }
    }

    /// Redis gave so many.
    fn granted(&self, tokens: u32, now: u64) {
        self.given.fetch_add(tokens, Ordering::Relaxed);
        self.gives_back(self.cell.granted(tokens, at(now), at(LATER)));
    }

    /// Every token was spent or given back, and nobody asks any more.
    fn adds_up(&self) {
        self.gives_back(self.cell.take_all());
        let [given, spent, back] =
            [&self.given, &self.spent, &self.back].map(|n| n.load(Ordering::Relaxed));
        assert_eq!(given, spent + back, "{spent} spent and {back} given back");
        assert_eq!(self.cell.tokens(), 0);
        assert!(self.cell.is_idle(), "leave to ask was lost");
    }
}

#[test]
fn no_token_of_a_batch_is_spent_twice_and_none_is_lost() {
    // Two spend while the lease lasts, and whoever finds nothing left asks;
    // one for whom it has ended asks as well, or takes what has expired.
    bounded_model(|| {
        let ledger = Ledger::holding(2);
        let threads = [1, 2].map(|cost| {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.spend(BEFORE, cost, |own| own.granted(3, BEFORE)))
        });
        ledger.spend(AFTER, 1, |own| own.granted(3, AFTER));
        ledger.gives_back(ledger.cell.take_expired(at(AFTER)));
        for thread in threads {
            thread.join().unwrap();
        }
        ledger.adds_up();
    });
}

#[test]
fn a_batch_that_replaces_what_expired_gives_back_every_token() {
    // The one who asked is answered when the lease has ended for it, and one
    // for whom it has not still spends from what is there.
    model(|| {
        let ledger = Ledger::holding(2);
        let other = Arc::clone(&ledger);
        let thread = thread::spawn(move || {
            other.spend(BEFORE, 1, |own| own.granted(2, BEFORE));
            other.gives_back(other.cell.take_expired(at(AFTER)));
        });
        ledger.spend(BEFORE, 3, |own| own.granted(MOST, AFTER));
        thread.join().unwrap();
        ledger.adds_up();
    });
}

#[test]
fn one_caller_asks_at_a_time_and_leave_to_ask_is_never_lost() {
    bounded_model(|| {
        let ledger = Arc::new(Ledger::default());
        let tells: [fn(&Ledger); 2] =
            [|own| own.cell.released(), |own| own.cell.limited(at(LATER))];
        let threads = tells.map(|tells| {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.spend(BEFORE, 1, tells))
        });
        ledger.spend(BEFORE, 1, |own| own.granted(1, BEFORE));
        for thread in threads {
            thread.join().unwrap();
        }
        ledger.adds_up();
    });
}

#[test]
fn who_takes_what_has_expired_takes_no_leave_to_ask() {
    model(|| {
        let ledger = Ledger::holding(1);
        let other = Arc::clone(&ledger);
        let thread = thread::spawn(move || other.spend(BEFORE, 2, |own| own.cell.released()));
        ledger.gives_back(ledger.cell.take_expired(at(AFTER)));
        ledger.spend(AFTER, 1, |own| own.granted(1, AFTER));
        thread.join().unwrap();
        ledger.adds_up();
    });
}

#[test]
fn a_refusal_hides_no_token() {
    // Redis has none for a caller who needs two, while another spends or
    // leaves the one that there is, and a third gives one back to Redis.
    bounded_model(|| {
        let ledger = Ledger::holding(1);
        let spends = Arc::clone(&ledger);
        let spender = thread::spawn(move || spends.spend(BEFORE, 1, |own| own.cell.released()));
        let refunds = Arc::clone(&ledger);
        let refunder = thread::spawn(move || refunds.cell.unlimited());
        ledger.spend(BEFORE, 2, |own| own.cell.limited(at(LATER)));
        if ledger.cell.tokens() > 0 {
            ledger.spend(BEFORE, 1, |own| own.cell.released());
        }
        spender.join().unwrap();
        refunder.join().unwrap();
        // Before what is left is taken: it is all spent.
        assert_eq!(ledger.cell.tokens(), 0);
        ledger.adds_up();
    });
}
