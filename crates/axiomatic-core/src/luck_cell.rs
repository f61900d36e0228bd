//! Draws for shares: who belongs to the five of a hundred. Not public API.

use crate::hash::mix;
use crate::sync::{AtomicU64, Ordering, spread, thread_index};

/// Numbers that are spread evenly over all 64-bit numbers, whichever stretch
/// of them one looks at: of any hundred draws of a thread, five percent lie
/// below five percent of the way, give or take two. Chance would need ten
/// thousand draws for that.
///
/// They are the multiples of the golden ratio, modulo one (H. Weyl, *Über die
/// Gleichverteilung von Zahlen mod. Eins*, 1916), on a line for each of the
/// first threads and a last one that all others share. They are no secret, and
/// nothing that must not be guessed may depend on them.
///
/// Each kind of draw has numbers of its own: of two that share them, one that
/// follows from how the other fell, the other is no longer spread evenly.
///
/// A line but the last is written by one live thread alone: whoever keeps
/// other numbers by thread keeps a [`Draws`] among them, and looks for the line
/// once.
#[derive(Debug)]
pub struct Luck {
    lines: Box<[Line]>,
    shared: Draws,
}

/// Alone on two cache lines, because processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Line(Draws);

/// The numbers of one line.
///
/// Layout    the last number drawn.
/// Invariant who draws alone is the one live thread that draws.
/// Writers   `draw_alone`, `draw`, which are also the readers.
/// Orderings all Relaxed: no other memory is read on their strength. That the
///           thread which has an index after another sees what that one wrote
///           is the business of the lock by which indices change hands.
#[derive(Debug)]
pub struct Draws(AtomicU64);

/// 2^64 over the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Luck {
    /// Other numbers for each seed.
    pub fn new(seed: u64) -> Self {
        // Loom's threads may share an index, and shuttle's do.
        let is_modelled = cfg!(any(axiomatic_loom, axiomatic_shuttle));
        let lines = if is_modelled { 0 } else { spread() };
        Luck {
            lines: (0..lines).map(|at| Line(Draws::new(seed, at))).collect(),
            shared: Draws::new(seed, lines),
        }
    }

    /// The next number.
    #[inline(always)]
    pub fn draw(&self) -> u64 {
        match self.lines.get(thread_index()) {
            Some(Line(line)) => line.draw_alone(),
            None => self.shared.draw(),
        }
    }
}

impl Draws {
    /// Those of a line: other numbers for each, and for each seed.
    pub fn new(seed: u64, line: usize) -> Self {
        Draws(AtomicU64::new(mix(seed ^ line as u64)))
    }

    /// The next number, on a line where no other thread draws. Should one do so
    /// after all, both may have the same.
    #[inline(always)]
    pub fn draw_alone(&self) -> u64 {
        // ORDERING: Relaxed: of this thread alone.
        let drawn = self.0.load(Ordering::Relaxed).wrapping_add(GOLDEN);
        // ORDERING: Relaxed: as the load.
        self.0.store(drawn, Ordering::Relaxed);
        drawn
    }

    /// The next number, on a line where others draw too.
    #[inline]
    pub fn draw(&self) -> u64 {
        // ORDERING: Relaxed: no other memory is read on its strength.
        self.0.fetch_add(GOLDEN, Ordering::Relaxed)
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    /// How many of so many draws lie below this share of the way.
    fn below(luck: &Luck, percent: u64, draws: u32) -> u32 {
        let end = u64::MAX / 100 * percent;
        (0..draws).filter(|_| luck.draw() < end).count() as u32
    }

    #[test]
    fn any_stretch_of_draws_is_spread_evenly() {
        for seed in 0..50 {
            let luck = Luck::new(seed);
            for percent in [1, 5, 33, 50, 90] {
                for _ in 0..20 {
                    let drawn = below(&luck, percent, 100);
                    assert!(drawn.abs_diff(percent as u32) <= 3, "{percent} %: {drawn}");
                }
            }
        }
    }

    #[test]
    fn draws_of_many_threads_are_spread_evenly() {
        let luck = Luck::new(1);
        let drawn: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3 * spread().max(2))
                .map(|_| scope.spawn(|| (below(&luck, 25, 1_000), 1_000)))
                .collect();
            let counts = threads.into_iter().map(|it| it.join().unwrap());
            counts.fold(0, |sum, (drawn, of)| sum + drawn.abs_diff(of / 4))
        });
        // A thread that draws from the shared line skips what others draw.
        assert!(drawn <= 60 * spread().max(2) as u32, "{drawn}");
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(Luck::new(1).draw(), Luck::new(2).draw());
    }
}
