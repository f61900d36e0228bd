//! Faults at random.

use std::num::NonZeroU32;
use std::time::Duration;

use super::fault::{Ending, Fault, Side, Way, Whom};
use crate::chance::Chance;

/// Faults at random, one after the other, for ever: which they are follows from
/// the seed.
#[derive(Clone, Debug)]
pub struct Script {
    chance: Chance,
    longest: Duration,
}

/// A part of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What goes wrong.
    pub fault: Fault,
    /// For whom.
    pub whom: Whom,
    /// For how long.
    pub lasting: Duration,
    /// How long all is well after that.
    pub pause: Duration,
}

impl Script {
    /// Faults that last so long at most, and pauses between them as well.
    pub fn random(seed: u64, longest: Duration) -> Script {
        Script {
            chance: Chance::of(seed),
            longest,
        }
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.chance.below(all.len() as u64) as usize]
    }

    fn fault(&mut self) -> Fault {
        let way = self.one_of(&Way::BOTH);
        let ending = self.one_of(&[Ending::Close, Ending::Reset]);
        match self.chance.below(9) {
            0 => Fault::Latency {
                way,
                by: self.chance.up_to(self.longest / 10),
                jitter: self.chance.up_to(self.longest / 10),
            },
            1 => Fault::Bandwidth {
                way,
                bytes_per_second: NonZeroU32::MIN.saturating_add(self.chance.below(100_000) as u32),
            },
            2 => Fault::CutAfter {
                way,
                bytes: self.chance.below(5_000),
                ending,
            },
            3 => Fault::Cut(ending),
            4 => Fault::Silence(way),
            5 => Fault::Blackhole,
            6 => Fault::Hold,
            7 => Fault::HalfOpen(self.one_of(&[Side::Client, Side::Server])),
            _ => Fault::Refuse,
        }
    }
}

impl Iterator for Script {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let fault = self.fault();
        let whom = self.one_of(&[Whom::Present, Whom::Coming, Whom::All]);
        let longest = self.longest;
        Some(Step {
            fault,
            whom,
            lasting: self.chance.up_to(longest),
            pause: self.chance.up_to(longest),
        })
    }
}
