//! A ring of generations that forgets by not recognising: what the filters that
//! forget are made of.
//!
//! All that there is of one key is one *group*: a word for each generation,
//! side by side in one cache line. Each word carries the round in which it was
//! written, so that a word of a generation that is over is told from one that
//! is alive by its tag. Nothing is ever cleared before it is used: whoever
//! brings the first key of a generation to a group replaces the old word.
//!
//! # How a key is new once
//!
//! Two inserters of one key may be in different generations, because one of
//! them has read the state before a rotation and the other one after it. So
//! the words of past generations are *sealed*: the first inserter of a
//! generation in a group seals all other words of the group before it opens
//! its own. A late inserter then fails to add to the sealed word, and begins
//! again in the generation of now. What is sealed does not change while it is
//! alive, so that an open word means: what the other words say has been said.
//! Then the one compare-and-swap which adds the key to the open word decides
//! alone, and of all inserters of a key exactly one is told that it is new.
//!
//! No fence is needed for it, because no order between two locations is.
//! (Without seals an inserter would have to write its own word and then look
//! at all others, and so would the other one, between two fences; and where
//! each sees the other, both would be told that the key is known.)
//!
//! # What a thread that stood still can do
//!
//! Words are replaced by compare-and-swap of exactly what was read, after the
//! state was read once more and had not changed since before the words were
//! read: so what was read was of a generation that was over. It is harmless to
//! be late with that, unless the word has meanwhile been used for 128 rounds
//! and has come to the very same tag and bits again.
//!
//! # Tags that come again
//!
//! A group that nobody touches for 128 rounds would come alive again. So who
//! rotates the ring also *sweeps* a 64th of the groups for each generation
//! that it advances, and makes what is over in them empty words of recent
//! rounds. Each word is swept every 64 generations, and its tag comes again
//! after 256 (of two generations a ring) to 1024 (of eight). So a word would
//! have to be missed by four to sixteen sweepers in turn, all of them standing
//! still just before it.

use super::error::BuildError;
use super::mask;
use super::ring_cell::{State, StateCell, WordCell};
use super::ring_shape::RingShape;
use super::ring_word::{Head, Word};

/// The sweep takes so many generations to come round. Under loom every one of
/// them sweeps it all, so that models see it.
const CHUNKS: u64 = if cfg!(axiomatic_loom) { 1 } else { 64 };

/// Words of a cache line.
const LINE: usize = 8;

/// Groups of words, and which generation is the current one. Its clock is
/// whatever `now` its users give it, in ticks.
#[derive(Debug)]
pub(super) struct Ring {
    lines: Vec<Line>,
    shape: RingShape,
    /// Ticks of a generation.
    period: u64,
    state: StateCell,
}

/// A cache line, so that no group lies on two.
#[derive(Debug)]
#[repr(align(64))]
struct Line([WordCell; LINE]);

/// What an insertion came to.
#[derive(Copy, Clone, Debug)]
pub(super) struct Inserted {
    /// Whether it was this one that brought the key.
    pub(super) is_new: bool,
    /// In which generation.
    pub(super) during: State,
}

impl Ring {
    /// Whose generations last so many ticks.
    pub(super) fn new(shape: RingShape, period: u64) -> Result<Self, BuildError> {
        let count = shape.words().div_ceil(LINE as u64);
        let no_memory = BuildError::OutOfMemory { bytes: 64 * count };
        let count = usize::try_from(count).map_err(|_| no_memory)?;
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).map_err(|_| no_memory)?;
        let start = Head::of(0, shape.generations().log2());
        let line = || Line(std::array::from_fn(|_| WordCell::over(start)));
        lines.resize_with(count, line);
        Ok(Ring {
            lines,
            shape,
            period: period.max(1),
            state: StateCell::new(),
        })
    }

    pub(super) fn shape(&self) -> RingShape {
        self.shape
    }

    pub(super) fn bytes(&self) -> u64 {
        64 * self.lines.len() as u64
    }

    pub(super) fn period(&self) -> u64 {
        self.period
    }

    /// Puts the key into the generation of `now`, or into the current one if
    /// `now` lies before that. `is_new` if it was in none.
    #[inline]
    pub(super) fn insert(&self, hash: u64, now: u64) -> Inserted {
        self.insert_during(hash, || self.advance(now))
    }

    /// Puts the key into the current generation, whatever the time.
    #[inline]
    pub(super) fn insert_current(&self, hash: u64) -> Inserted {
        self.insert_during(hash, || self.state.load())
    }

    /// Whether the key is in a generation that is alive at `now`. Writes
    /// nothing: what has to be taken for over, because nobody has inserted
    /// anything since, is over by computation.
    #[inline]
    pub(super) fn may_contain(&self, hash: u64, now: u64) -> bool {
        self.may_contain_during(hash, |state| self.ahead(state, now))
    }

    /// Whether the key is in a generation that is alive.
    #[inline]
    pub(super) fn may_contain_current(&self, hash: u64) -> bool {
        self.may_contain_during(hash, |state| state)
    }

    /// Whether the generation of `during` is over at `now`.
    #[inline]
    pub(super) fn is_over(&self, during: State, now: u64) -> bool {
        self.ahead(during, now) != during
    }

    /// The words that are alive at `now`, group by group, from the current
    /// generation to the oldest; `None` is as late as it is. No cut: who
    /// inserts meanwhile may be seen or not.
    pub(super) fn for_each_group(&self, now: Option<u64>, mut see: impl FnMut(&[u32])) {
        let state = self.state.load();
        let head = self.head(now.map_or(state, |now| self.ahead(state, now)));
        let count = self.shape.generations().count() as usize;
        let mut ones = [0; LINE];
        for group in 0..self.shape.groups() {
            let words = self.group(group);
            for (age, ones) in ones.iter_mut().enumerate().take(count) {
                let at = head.current().wrapping_sub(age) & (count - 1);
                let word = words[at].load();
                let is_alive = word.is_of(head.alive(at));
                *ones = if is_alive { word.ones() } else { 0 };
            }
            see(&ones[..count]);
        }
    }
}

impl Ring {
    /// One CAS loop over several words. Its linearisation point is the swap
    /// that adds to the open word or opens it, or the load of an open word
    /// that has the key already. A lost swap is harmless, because then another
    /// thread has added a key, sealed a word or renewed one, and all is read
    /// again. Lock-free: an open word takes at most 56 additions, words of a
    /// group are sealed once a generation, and otherwise a generation has
    /// begun.
    #[inline(always)]
    fn insert_during(&self, hash: u64, state: impl Fn() -> State) -> Inserted {
        let mask = mask::tagged_mask(hash, self.shape.draws());
        let words = self.group(mask::block_of(hash, self.shape.groups()));
        loop {
            let during = state();
            let head = self.head(during);
            let is_new = match self.add(words, head, mask) {
                Some(is_new) => is_new,
                None => match self.renew(words, head, mask, during) {
                    Some(is_new) => is_new,
                    None => continue,
                },
            };
            return Inserted { is_new, during };
        }
    }

    /// Into an open word; `None` if it is none, or was not long enough.
    #[inline(always)]
    fn add(&self, words: &[WordCell], head: Head, mask: u64) -> Option<bool> {
        let own = &words[head.current()];
        // Before the others: if it is open, they are sealed.
        let word = own.load_before_others();
        if !word.is_open_in(head.round()) {
            return None;
        }
        if word.covers(mask) {
            return Some(false);
        }
        let (mut sealed, mut known) = (true, false);
        for (at, other) in words.iter().enumerate() {
            let other = other.load();
            let is_own = at == head.current();
            sealed &= is_own | other.is_sealed_in(head.alive(at));
            known |= !is_own & other.covers(mask);
        }
        // If one is not, it has been renewed, and this is late.
        (sealed && own.add(word, mask)).then_some(!known)
    }

    /// Seals all words but the current generation's, and opens that one with
    /// the key; `None` if the generation is over, or another thread was
    /// faster.
    #[cold]
    fn renew(&self, words: &[WordCell], head: Head, mask: u64, during: State) -> Option<bool> {
        let own = head.current();
        // Before the others: if it is open, they are sealed.
        let current = words[own].load_before_others();
        let mut found = [current; LINE];
        for (at, word) in words.iter().enumerate() {
            if at != own {
                found[at] = word.load_before_state();
            }
        }
        if self.state.load() != during {
            return None;
        }
        // From here on, a word that is not of its round is of an older one.
        let is_sealed = |at: usize| at == own || found[at].is_sealed_in(head.alive(at));
        if current.is_open_in(head.round()) && (0..words.len()).all(is_sealed) {
            return None;
        }
        // And a word of this round is too, if it is sealed or others are not:
        // it was missed by all sweeps until its tag came again, and would
        // otherwise be waited for until the next generation.
        let mut known = false;
        for (at, word) in words.iter().enumerate() {
            if at == own {
                continue;
            }
            let (is, round) = (found[at], head.alive(at));
            let sealed = if is.is_of(round) {
                is.sealed()
            } else {
                Word::sealed_empty(round)
            };
            if is != sealed && !word.replace(is, sealed) {
                return None;
            }
            known |= sealed.covers(mask);
        }
        let opened = Word::opened(head.round(), mask);
        words[own].replace(found[own], opened).then_some(!known)
    }

    /// Asks again if the ring has turned meanwhile: a key that is inserted
    /// again and again may have been, each time, in the word that was not
    /// looked at yet.
    #[inline(always)]
    fn may_contain_during(&self, hash: u64, at: impl Fn(State) -> State) -> bool {
        let mask = mask::tagged_mask(hash, self.shape.draws());
        let words = self.group(mask::block_of(hash, self.shape.groups()));
        let mut state = self.state.load_before_words();
        loop {
            let head = self.head(at(state));
            let mut found = false;
            for (at, word) in words.iter().enumerate() {
                let word = word.load_before_state();
                found |= word.covers_in(head.alive(at), mask);
            }
            let again = self.state.load_before_words();
            if found || again == state {
                return found;
            }
            state = again;
        }
    }

    /// The state at `now`: brings it there if it is behind. Its linearisation
    /// point is the swap of the state; who loses it is at least as late, and
    /// looks again. Lock-free: the state only moves on.
    #[inline(always)]
    fn advance(&self, now: u64) -> State {
        let state = self.state.load();
        if self.is_current(state, now) {
            return state;
        }
        self.rotate(state, now)
    }

    #[cold]
    fn rotate(&self, mut from: State, now: u64) -> State {
        loop {
            let to = self.ahead(from, now);
            if to == from {
                return from;
            }
            match self.state.swap(from, to) {
                Ok(()) => {
                    self.sweep(from, to);
                    return to;
                }
                Err(state) => from = state,
            }
        }
    }

    /// Whether `now` surely lies in the generation of the state.
    #[inline(always)]
    fn is_current(&self, state: State, now: u64) -> bool {
        let start = state.index().wrapping_mul(self.period);
        now.wrapping_sub(start) < self.period
    }

    /// The state that belongs to `now`, or this one if that is no later.
    ///
    /// At most as many generations on as there are: more of them would make
    /// no difference, and so tags are not used up while nothing happens.
    #[inline(always)]
    fn ahead(&self, state: State, now: u64) -> State {
        if self.is_current(state, now) {
            return state;
        }
        state.ahead(now / self.period, self.shape.generations().count())
    }

    fn sweep(&self, from: State, to: State) {
        let groups = u64::from(self.shape.groups());
        let mut generation = from.generation();
        while generation != to.generation() {
            generation = generation.wrapping_add(1);
            let chunk = u64::from(generation) % CHUNKS;
            let border = |chunk| (chunk * groups / CHUNKS) as u32;
            for group in border(chunk)..border(chunk + 1) {
                self.sweep_group(self.group(group));
            }
        }
    }

    /// A lost swap is harmless: then somebody else has renewed the word.
    /// Wait-free.
    fn sweep_group(&self, words: &[WordCell]) {
        for (at, word) in words.iter().enumerate() {
            let is = word.load_before_state();
            // Read after the word, so the word is of no later generation.
            let head = self.head(self.state.load());
            let past = head.past(at);
            if !is.is_of(head.alive(at)) && !is.is_of(past) {
                word.replace(is, Word::sealed_empty(past));
            }
        }
    }

    #[inline(always)]
    fn head(&self, state: State) -> Head {
        Head::of(state.generation(), self.shape.generations().log2())
    }

    #[inline(always)]
    fn group(&self, group: u32) -> &[WordCell] {
        let log2 = self.shape.generations().log2();
        let first = (group as usize) << log2;
        let within = first % LINE;
        &self.lines[first / LINE].0[within..within + (1 << log2)]
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests;
