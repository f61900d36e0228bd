/// Where eviction goes on. Held by one thread at a time, and nobody waits for
/// it: who finds it taken goes without. So it may be held while values are
/// asked and dropped. One that panics leaves it in order; one that comes back
/// into the store finds it taken.
pub(super) struct Hand {
    pub(super) walk: Walk,
    /// What the next closings are marked with.
    pub(super) round: u64,
}

impl Hand {
    pub(super) fn over(cap: u32) -> Self {
        Hand {
            walk: Walk::over(cap),
            round: 1,
        }
    }
}

/// How many places an insertion looks at when they are scarce. Each costs a
/// lookup by place and the question whether the value is idle; several are
/// needed because the barrier that follows costs more than all of them.
pub(super) const LOOKS: u32 = 8;

/// The round of tickets that tell nothing: the first that closes is 1.
pub(super) const NO_ROUND: u64 = 0;

/// The most tickets there are at a time: 64 KiB of them. While somebody stays
/// inside, each new round would add some that wait for it.
pub(super) const MOST_TICKETS: u64 = 1024;

/// A walk over all places, in strides of about 0.618 of them. In their own
/// order, keys that were inserted together and are busy together would make
/// long stretches in which nothing is found.
#[derive(Copy, Clone)]
pub(super) struct Walk {
    pub(super) place: u32,
    stride: u32,
    cap: u32,
}

impl Walk {
    fn over(cap: u32) -> Self {
        let share = u64::from(cap) * 618 / 1_000;
        // Without a common divisor, a walk of `cap` strides visits them all.
        let stride = (share as u32..cap).find(|stride| gcd(*stride, cap) == 1);
        Walk {
            place: 0,
            stride: stride.unwrap_or(1),
            cap,
        }
    }

    pub(super) fn skip(self, strides: u32) -> Self {
        let cap = u64::from(self.cap);
        let walked = u64::from(strides) * u64::from(self.stride);
        Walk {
            place: ((u64::from(self.place) + walked) % cap) as u32,
            ..self
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::Walk;

    #[test]
    fn a_walk_visits_every_place_once() {
        for cap in (1..200).chain([1_000, 10_000, 65_536, 99_991]) {
            let walk = Walk::over(cap);
            let mut visits = vec![0u8; cap as usize];
            (0..cap).for_each(|step| visits[walk.skip(step).place as usize] += 1);
            assert!(visits.iter().all(|times| *times == 1), "{cap}");
        }
    }
}
