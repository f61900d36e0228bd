//! The table: which slot a key has, and how it comes to have one.

use axiomatic_core::number_cell::{SpreadTally, Tally};

use super::pace::{Decision, Pace};
use super::set_cell::{Place, SLOTS, Set, Slot};
use super::word::{Tag, Word};
use super::{ConfigError, Table, WhenCrowded};

/// The sets, and what was counted on the way of new keys.
#[derive(Debug)]
pub(super) struct Sets {
    sets: Box<[Set]>,
    pub(super) when_crowded: WhenCrowded,
    /// Keys that were given a slot. It numbers the claims.
    pub(super) inserted: Tally,
    /// Slots that were given on, whose key had nothing spent.
    pub(super) evicted: SpreadTally,
    /// What was done for lack of a slot.
    pub(super) crowded: SpreadTally,
}

/// A call: what it costs, and when it is.
#[derive(Copy, Clone, Debug)]
pub(super) struct Call {
    pub(super) now: u64,
    pub(super) cost: u32,
}

/// What the table says to a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passes, and so many units are left.
    Admit(u64),
    /// It does not, until this microsecond.
    Refuse(u64),
    /// It does not for lack of a slot, until this microsecond.
    RefuseCrowded(u64),
    /// It passes for lack of a slot.
    AdmitCrowded,
}

/// Worse than any slot that is free.
const TAKEN: usize = usize::MAX;

/// What came of trying.
enum Tried {
    Done(Verdict),
    /// Another was quicker.
    Lost,
}

impl Sets {
    pub(super) fn new(table: Table, when_crowded: WhenCrowded) -> Result<Self, ConfigError> {
        let count = table.sets()?;
        Ok(Sets {
            sets: (0..count).map(|_| Set::new()).collect(),
            when_crowded,
            inserted: Tally::new(),
            evicted: SpreadTally::new(),
            crowded: SpreadTally::new(),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.sets.len() * size_of::<Set>()
    }

    pub(super) fn slots(&self) -> u64 {
        (self.sets.len() * SLOTS) as u64
    }

    /// The set by the high bits of the hash, the tag by the low ones.
    #[inline(always)]
    fn place(&self, hash: u64) -> Place<'_> {
        let set = (u128::from(hash) * self.sets.len() as u128) >> 64;
        self.sets[set as usize].of(Tag::of(hash))
    }

    /// Decides on a call of a key, which costs no more than the burst.
    ///
    /// A known key's linearises at the exchange, or at the load that refuses;
    /// a lost race is judged anew. Lock-free.
    #[inline(always)]
    pub(super) fn admit(&self, hash: u64, pace: Pace, call: Call) -> Verdict {
        let place = self.place(hash);
        if let Some((slot, word)) = place.find_at_home() {
            if !word.is_claim() {
                if let Tried::Done(verdict) = decide(place, slot, word, pace, call) {
                    return verdict;
                }
            }
        }
        self.not_at_home(hash, pace, call)
    }

    /// The way of a key that is not found in its home line. What it needs is
    /// made again, so that the others need not keep it at hand.
    #[cold]
    #[inline(never)]
    fn not_at_home(&self, hash: u64, pace: Pace, call: Call) -> Verdict {
        let place = self.place(hash);
        if let Some((slot, word)) = place.find_beside() {
            if !word.is_claim() {
                if let Tried::Done(verdict) = decide(place, slot, word, pace, call) {
                    return verdict;
                }
            }
        }
        self.settle(place, pace, call)
    }

    /// The way of a key that has no slot, or was in somebody else's hands.
    ///
    /// Who finds no entry of the tag claims a slot, *looks again*, and makes
    /// its claim the entry if it stands alone. Of two claims in two slots not
    /// both become entries: whoever makes an entry of one has seen it, and
    /// then, behind a fence, that there is no other. The one of the two whose
    /// fence came second has seen the other's. (That one may have looked
    /// before at a slot where the other is by now; that is why it looks
    /// again.) Claims have numbers, so none is mistaken for one that was there
    /// before, unless 2^24 keys came while a thread stood between its look and
    /// its exchange.
    ///
    /// An entry stays the only one of its tag as long as it is there, and is
    /// found by all who look again. Which key has the entry is a matter of
    /// one word from then on.
    ///
    /// Lock-free: who tries again has seen another's exchange, and of the
    /// claims of a tag the one in the lowest slot is removed by nobody.
    fn settle(&self, place: Place<'_>, pace: Pace, call: Call) -> Verdict {
        let mut seen = None;
        loop {
            let words = match seen {
                None => place.look(),
                Some(_) => place.look_again(),
            };
            let mut of_key = words
                .iter()
                .filter(|(_, word)| word.is_of(place.tag))
                .copied();
            if let Some((slot, word)) = of_key.clone().find(|(_, word)| !word.is_claim()) {
                match decide(place, slot, word, pace, call) {
                    Tried::Done(verdict) => return verdict,
                    Tried::Lost => {
                        seen = None;
                        continue;
                    }
                }
            }
            let Some((slot, claim)) = of_key.next() else {
                match self.claim(place, &words, call) {
                    Ok(claimed) => seen = claimed,
                    Err(verdict) => return verdict,
                }
                continue;
            };
            let mut others = of_key.peekable();
            if others.peek().is_none() && seen == Some((slot, claim)) {
                // All of the burst is there, so it is admitted.
                if let Tried::Done(verdict) = decide(place, slot, claim, pace, call) {
                    return verdict;
                }
                seen = None;
                continue;
            }
            for (other, word) in others {
                place.exchange(other, word, Word::EMPTY);
            }
            seen = Some((slot, claim));
        }
    }

    /// Claims a slot: an empty one, or else one whose key has nothing spent,
    /// which nobody can tell from one that was never there; at home, or else
    /// beside it. Where there is none, what was chosen is done.
    fn claim(
        &self,
        place: Place<'_>,
        words: &[(Slot, Word); SLOTS],
        call: Call,
    ) -> Result<Option<(Slot, Word)>, Verdict> {
        let rank = |(slot, word): &(Slot, Word)| {
            let used = usize::from(*word != Word::EMPTY);
            let rank = 2 * slot.distance(place.tag) + used;
            if word.is_free(call.now) { rank } else { TAKEN }
        };
        let best = words.iter().min_by_key(|slot| rank(slot));
        let free = best.filter(|best| rank(best) < TAKEN);
        let (slot, word) = match free {
            Some(free) => *free,
            None => self.of_crowd(words, call)?,
        };
        let claim = Word::claim(place.tag, self.inserted.count());
        if !place.exchange(slot, word, claim) {
            return Ok(None);
        }
        if free.is_none() {
            self.crowded.count();
        } else if word != Word::EMPTY {
            self.evicted.count();
        }
        Ok(Some((slot, claim)))
    }

    /// The slot whose key is idle first, if that one shall go.
    fn of_crowd(&self, words: &[(Slot, Word); SLOTS], call: Call) -> Result<(Slot, Word), Verdict> {
        let entries = words.iter().filter(|(_, word)| !word.is_claim());
        let soonest = entries.min_by_key(|(_, word)| word.ahead(call.now));
        let verdict = match (self.when_crowded, soonest) {
            (WhenCrowded::EvictSoonestIdle, Some(victim)) => return Ok(*victim),
            (WhenCrowded::Admit, _) => Verdict::AdmitCrowded,
            (_, Some((_, word))) => Verdict::RefuseCrowded(word.arrival(call.now)),
            // As many keys are being inserted here as there are slots.
            (_, None) => Verdict::RefuseCrowded(call.now + 1),
        };
        self.crowded.count();
        Err(verdict)
    }

    /// What a key has left.
    pub(super) fn left(&self, hash: u64, pace: Pace, now: u64) -> u32 {
        let arrival = match entry(self.place(hash)) {
            Some((_, word)) => word.arrival(now),
            None => now,
        };
        pace.left(arrival, now)
    }

    /// Gives a key cells back. Lock-free; linearises at the exchange.
    pub(super) fn refund(&self, hash: u64, pace: Pace, call: Call) {
        let place = self.place(hash);
        while let Some((slot, word)) = entry(place) {
            let arrival = word.arrival(call.now);
            let back = Word::entry(place.tag, pace.refund(arrival, call.now, call.cost));
            if place.exchange(slot, word, back) {
                return;
            }
        }
    }

    /// Empties a key's slot; false if it had none. Lock-free; linearises at
    /// the exchange.
    pub(super) fn forget(&self, hash: u64) -> bool {
        let place = self.place(hash);
        while let Some((slot, word)) = entry(place) {
            if place.exchange(slot, word, Word::EMPTY) {
                return true;
            }
        }
        false
    }

    /// Looks at so many sets, in equal strides, and says how many slots of
    /// how many hold a key with something spent.
    pub(super) fn sample(&self, most: usize, now: u64) -> (u64, u64) {
        let stride = self.sets.len().div_ceil(most.max(1));
        let any = Tag::of(0);
        let looked_at = self
            .sets
            .iter()
            .step_by(stride)
            .map(|set| set.of(any).look());
        looked_at.fold((0, 0), |(live, slots), words| {
            let here = words.iter().filter(|(_, word)| !word.is_free(now)).count();
            (live + here as u64, slots + SLOTS as u64)
        })
    }
}

/// The entry of a tag.
fn entry(place: Place<'_>) -> Option<(Slot, Word)> {
    let mut words = place.look().into_iter();
    words.find(|(_, word)| word.is_of(place.tag) && !word.is_claim())
}

/// Decides by a word that was seen, and writes what comes of it. A claim
/// becomes the entry so.
#[inline(always)]
fn decide(place: Place<'_>, slot: Slot, word: Word, pace: Pace, call: Call) -> Tried {
    let Call { now, cost } = call;
    let spent = if word.is_claim() {
        now
    } else {
        word.arrival(now)
    };
    match pace.decide(spent, now, cost) {
        Decision::Admit { arrival, left } => {
            if place.exchange(slot, word, Word::entry(place.tag, arrival)) {
                Tried::Done(Verdict::Admit(left))
            } else {
                Tried::Lost
            }
        }
        Decision::Refuse { until, pull_back } => {
            if let Some(arrival) = pull_back {
                // If another was quicker, it did the same or knew better.
                place.exchange(slot, word, Word::entry(place.tag, arrival));
            }
            Tried::Done(Verdict::Refuse(until))
        }
    }
}
