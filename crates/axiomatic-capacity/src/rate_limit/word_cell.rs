use axiomatic_core::sync::{AtomicU64, Ordering, fence};

use super::line::{self, Grant};
use super::terms::Terms;

/// What was granted, in one word with the number of the terms that it was
/// granted by: a decision under terms that are no longer good fails.
///
/// Layout    | 63..6 what the terms make of it: where the line ends, or the
///           counts of windows | 5..0 generation |
/// Invariant the generation only steps by one, under the lock of whoever
///           changes terms; those of the generation are in the place of its
///           last bit, and are not written while it lasts.
/// Writers   `decide` (hot), `switch`. Readers `look`, and `decide`.
/// Orderings `switch` releases the terms that it has written, and whoever loads
///           the word acquires them. A place is written anew in the generation
///           after its own: a decision that read such numbers finds another
///           generation in the word.
///
/// The generation comes around after 64 switches: a call that sleeps through
/// exactly as many, inside of its decision, and then finds the rest of the word
/// as it was, decides by terms that were; and what was granted exactly so many
/// switches ago is given back as if it had been under the present terms.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Word {
    state: AtomicU64,
    places: Places,
}

/// On lines of their own, which all processors share while only the state is
/// written.
#[derive(Debug)]
#[repr(align(128))]
struct Places {
    all: [Place; 2],
    /// The generation, or the one before while terms change.
    announced: AtomicU64,
}

#[derive(Debug)]
#[repr(align(64))]
struct Place {
    since: AtomicU64,
    pace: AtomicU64,
    inverse: AtomicU64,
    burst: AtomicU64,
    shift: AtomicU64,
}

/// What becomes of the state.
pub(super) enum Step<T> {
    /// This, if nobody came in between.
    To(u64, T),
    /// Nothing: it stays as it is.
    Stay(T),
}

/// A state with its generation: what only an unchanged word is exchanged from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Look(u64);

const SHIFT: u32 = 6;
const GENERATION: u64 = (1 << SHIFT) - 1;

impl Look {
    #[inline(always)]
    fn of(state: u64, generation: u64) -> Self {
        debug_assert!(state <= u64::MAX >> SHIFT, "{state:#x} has no room");
        Look(state << SHIFT | generation & GENERATION)
    }

    #[inline(always)]
    fn generation(self) -> u64 {
        self.0 & GENERATION
    }

    #[inline(always)]
    fn state(self) -> u64 {
        self.0 >> SHIFT
    }
}

/// What is asked for at once of a line: a grant of so much, at a time, that
/// ends no later than some other.
#[derive(Copy, Clone, Debug)]
pub(super) struct Bid {
    pub(super) time: u64,
    pub(super) units: u64,
    pub(super) latest: u64,
}

/// What becomes of a bid.
pub(super) enum Answer {
    /// It is granted, by the terms of a generation.
    Granted(u8, Grant),
    /// The line is too long: with it, it would end there. That is so if what was
    /// looked at is [confirmed](Word::confirm).
    TooLong(Look, u64),
    /// The terms do not say, or change at this moment: who is told so decides
    /// anew.
    Unclear,
}

impl Word {
    pub(super) fn new(terms: &Terms, state: u64) -> Self {
        Word {
            state: AtomicU64::new(Look::of(state, 0).0),
            places: Places {
                all: [Place::new(terms), Place::new(terms)],
                announced: AtomicU64::new(0),
            },
        }
    }

    /// Grants what is bid under the terms, as often as another was faster,
    /// unless the line is too long.
    ///
    /// The terms are those of the generation that is announced beside them, so
    /// that a processor need not wait for the state to find them. And the
    /// states of one generation are ordered as the words are, so between the
    /// load and the exchange there is one comparison and one addition: together
    /// that is half of the time that `decide` takes. Linearises at the exchange,
    /// which fails if the generation is another, or at the load that found the
    /// line too long. Lock-free.
    #[inline(always)]
    pub(super) fn grant(&self, bid: impl Fn(&Terms) -> Option<Bid>) -> Answer {
        // ORDERING: Acquire: observes the terms of the generation; pairs with
        // the Release in `switch`.
        let generation = self.places.announced.load(Ordering::Acquire);
        let [even, odd] = &self.places.all;
        let bid = if generation & 1 == 0 {
            bid(&even.load())
        } else {
            bid(&odd.load())
        };
        let Some(bid) = bid else {
            return Answer::Unclear;
        };
        let [time, latest] = [bid.time, bid.latest].map(|at| Look::of(at, generation).0);
        // ORDERING: Relaxed: the terms were found without it.
        let mut look = Look(self.state.load(Ordering::Relaxed));
        loop {
            let next = line::next(look.0, time, bid.units << SHIFT).end;
            if look.generation() != generation {
                return Answer::Unclear;
            }
            if next > latest {
                return Answer::TooLong(look, Look(next).state());
            }
            // ORDERING: Release: the terms were read before; pairs with the
            // Acquire in `switch`, as in `decide`. Relaxed on failure: as the
            // load.
            // SURVIVES: without it the terms could be those that are written
            // after the exchange that they are for, which is a load from a later
            // store, and loom has none of these.
            let exchanged = self.state.compare_exchange_weak(
                look.0,
                next,
                Ordering::Release,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => {
                    let grant = Grant {
                        end: Look(next).state(),
                        units: bid.units,
                    };
                    return Answer::Granted(generation as u8, grant);
                }
                Err(now) => look = Look(now),
            }
        }
    }

    /// What follows from the terms of what was looked at, unless others have
    /// come meanwhile: then what was read of them before, here and by whoever
    /// looked, may be of two minds.
    #[inline(always)]
    pub(super) fn confirm<T>(&self, look: Look, of: impl FnOnce(&Terms) -> T) -> Option<T> {
        let said = of(&self.places.of(look.generation()).load());
        self.reread(look).is_none().then_some(said)
    }

    /// Decides by the generation, its terms and the state, as often as another
    /// was faster.
    ///
    /// Linearises at the exchange, or at the load of a step that stays. A lost
    /// race means that another was granted something, or that there are new
    /// terms, and is judged anew. Lock-free.
    #[inline(always)]
    pub(super) fn decide<T>(&self, mut step: impl FnMut(u8, &Terms, u64) -> Step<T>) -> T {
        // ORDERING: Acquire: observes the terms of the generation; pairs with
        // the Release in `switch`, whose sequence the exchanges continue.
        let mut look = Look(self.state.load(Ordering::Acquire));
        loop {
            let generation = look.generation();
            let terms = self.places.of(generation).load();
            match step(generation as u8, &terms, look.state()) {
                Step::To(state, decided) => {
                    // ORDERING: Release: the terms were read before; pairs with
                    // the Acquire in `switch`, after which their place may be
                    // written. Acquire on failure: as the load.
                    // SURVIVES: as in `grant`.
                    let exchanged = self.state.compare_exchange_weak(
                        look.0,
                        Look::of(state, generation).0,
                        Ordering::Release,
                        Ordering::Acquire,
                    );
                    match exchanged {
                        Ok(_) => return decided,
                        Err(now) => look = Look(now),
                    }
                }
                Step::Stay(decided) => match self.reread(look) {
                    None => return decided,
                    Some(now) => look = now,
                },
            }
        }
    }

    /// The word, if its generation is no longer that one: then the terms that
    /// were read may be of two minds.
    #[inline(always)]
    fn reread(&self, look: Look) -> Option<Look> {
        // ORDERING: Acquire: the terms were read before what follows; pairs
        // with the Release fence in `switch`.
        fence(Ordering::Acquire);
        // ORDERING: Relaxed: the fence orders it, and what is judged by it is
        // loaded anew.
        let now = Look(self.state.load(Ordering::Relaxed));
        if now.generation() == look.generation() {
            return None;
        }
        // ORDERING: Acquire: as in `decide`.
        Some(Look(self.state.load(Ordering::Acquire)))
    }

    /// The terms and the state at a moment.
    pub(super) fn look(&self) -> (Terms, u64) {
        self.decide(|_, terms, state| Step::Stay((*terms, state)))
    }

    /// Goes over to other terms, under which the state is another. Under the
    /// lock of whoever changes terms.
    ///
    /// Linearises at the exchange; a lost race means that something was granted
    /// under the old terms. Lock-free but for the lock.
    pub(super) fn switch(&self, terms: &Terms, of: impl Fn(&Terms, u64) -> u64) {
        // ORDERING: Relaxed: the generation is only changed under the lock that
        // the caller has.
        let mut look = Look(self.state.load(Ordering::Relaxed));
        let old = self.places.of(look.generation()).load();
        let generation = (look.generation() + 1) & GENERATION;
        // ORDERING: Release: the generation before was seen to be over by those
        // who see what is written now; pairs with the fence in `reread`.
        fence(Ordering::Release);
        self.places.of(generation).store(terms);
        loop {
            let state = of(&old, look.state());
            let next = Look::of(state, generation).0;
            // ORDERING: AcqRel: publishes the terms; pairs with the Acquire in
            // `decide`. Observes that whoever decided before has read its
            // terms; pairs with the Release in `decide`. Relaxed on failure:
            // only the state is new.
            // SURVIVES: its Acquire is the other half of what `grant` says.
            let exchanged =
                self.state
                    .compare_exchange_weak(look.0, next, Ordering::AcqRel, Ordering::Relaxed);
            match exchanged {
                Ok(_) => {
                    // ORDERING: Release: publishes the terms; pairs with the
                    // Acquire in `grant`.
                    self.places.announced.store(generation, Ordering::Release);
                    return;
                }
                Err(now) => look = Look(now),
            }
        }
    }
}

impl Places {
    #[inline(always)]
    fn of(&self, generation: u64) -> &Place {
        &self.all[(generation & 1) as usize]
    }
}

impl Place {
    fn new(terms: &Terms) -> Self {
        Place {
            since: AtomicU64::new(terms.since),
            pace: AtomicU64::new(terms.pace),
            inverse: AtomicU64::new(terms.inverse),
            burst: AtomicU64::new(terms.burst),
            shift: AtomicU64::new(terms.shift),
        }
    }

    #[inline(always)]
    fn load(&self) -> Terms {
        // ORDERING: Relaxed: published with the generation, by which whoever
        // decides finds out whether they belong together.
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Terms {
            since: load(&self.since),
            pace: load(&self.pace),
            inverse: load(&self.inverse),
            burst: load(&self.burst),
            shift: load(&self.shift),
        }
    }

    fn store(&self, terms: &Terms) {
        // ORDERING: Relaxed: published by the exchange in `switch`.
        let store = |number: &AtomicU64, value| number.store(value, Ordering::Relaxed);
        store(&self.since, terms.since);
        store(&self.pace, terms.pace);
        store(&self.inverse, terms.inverse);
        store(&self.burst, terms.burst);
        store(&self.shift, terms.shift);
    }
}
