use std::fmt;

use crate::consistent_hash::error::PlacementError;

/// Points on a circle, sorted, and where to begin to look among them.
///
/// A lookup takes the top bits of the hash to the first point that has these
/// or greater ones, and looks at a few from there.
pub(crate) struct Table<P> {
    /// Sorted; behind them come `WINDOW` that are greater than every hash.
    points: Box<[P]>,
    /// By top bits of a hash.
    starts: Box<[u32]>,
    shift: u32,
}

/// A point: its hash, and the member whose it is. They are ordered by hash,
/// and where two hashes are equal the member of the lesser index is first.
pub(crate) trait Point: Copy + Ord + fmt::Debug {
    /// How many bits a hash has.
    const BITS: u32;
    /// Greater than all points there can be.
    const BEYOND: Self;

    fn new(hash: u64, owner: u32) -> Self;
    fn hash(self) -> u64;
    fn owner(self) -> u32;
    /// Whether its hash is less. The bits of `hash` beyond `BITS` are zeros.
    fn is_below(self, hash: u64) -> bool;
}

/// Of a 32-bit hash: that, and the owner below it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Narrow(u64);

/// Of a 64-bit hash.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wide {
    hash: u64,
    owner: u32,
}

/// So many points are looked at without asking whether there is need to: most
/// lookups end among them, and a branch that cannot be foretold costs more.
const WINDOW: usize = 4;

impl<P: Point> Table<P> {
    /// The most points there can be. The index of a point has to fit into 32
    /// bits, and they should fit into memory.
    pub(crate) const MAX_POINTS: u64 = 1 << 26;

    /// Whether there can be so many.
    pub(crate) fn admit(points: u64) -> Result<(), PlacementError> {
        let most = Self::MAX_POINTS;
        if points > most {
            return Err(PlacementError::TooManyPoints { points, most });
        }
        Ok(())
    }

    /// Of at least one point, and no more than `admit` lets pass.
    pub(crate) fn new(mut points: Vec<P>) -> Self {
        points.sort_unstable();
        let len = points.len();
        // Two points to a start, or fewer.
        let bits = (len.next_power_of_two().trailing_zeros())
            .saturating_sub(1)
            .max(1);
        let shift = P::BITS - bits;
        let mut starts = Vec::with_capacity(1 << bits);
        for (place, point) in (0u32..).zip(&points) {
            let prefix = (point.hash() >> shift) as usize;
            while starts.len() <= prefix {
                starts.push(place);
            }
        }
        starts.resize(1 << bits, len as u32);
        points.extend([P::BEYOND; WINDOW]);
        Table {
            points: points.into(),
            starts: starts.into(),
            shift,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len() - WINDOW
    }

    /// The place of the first point that is not below the hash: the first of
    /// all if none is.
    #[inline]
    pub(crate) fn first(&self, hash: u64) -> usize {
        let mut at = self.starts[(hash >> self.shift) as usize] as usize;
        loop {
            let window = &self.points[at..at + WINDOW];
            let below: usize = window.iter().map(|p| usize::from(p.is_below(hash))).sum();
            at += below;
            if below < WINDOW {
                break;
            }
            // Somebody may have chosen identities such that points crowd.
            let rest = &self.points[at..];
            if rest[(4 * WINDOW).min(rest.len() - WINDOW)].is_below(hash) {
                at += rest.partition_point(|point| point.is_below(hash));
                break;
            }
        }
        if at == self.len() { 0 } else { at }
    }

    #[inline]
    pub(crate) fn point(&self, place: usize) -> P {
        self.points[place]
    }

    /// The place after this one.
    #[inline]
    pub(crate) fn after(&self, place: usize) -> usize {
        if place + 1 == self.len() {
            0
        } else {
            place + 1
        }
    }
}

impl Point for Narrow {
    const BITS: u32 = 32;
    const BEYOND: Self = Narrow(u64::MAX);

    fn new(hash: u64, owner: u32) -> Self {
        Narrow(hash << 32 | u64::from(owner))
    }

    #[inline]
    fn hash(self) -> u64 {
        self.0 >> 32
    }

    #[inline]
    fn owner(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    fn is_below(self, hash: u64) -> bool {
        self.0 < hash << 32
    }
}

impl Point for Wide {
    const BITS: u32 = 64;
    const BEYOND: Self = Wide {
        hash: u64::MAX,
        owner: u32::MAX,
    };

    fn new(hash: u64, owner: u32) -> Self {
        Wide { hash, owner }
    }

    #[inline]
    fn hash(self) -> u64 {
        self.hash
    }

    #[inline]
    fn owner(self) -> u32 {
        self.owner
    }

    #[inline]
    fn is_below(self, hash: u64) -> bool {
        self.hash < hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::hash::mix;

    /// The first point in plain words.
    fn first<P: Point>(table: &Table<P>, hash: u64) -> usize {
        let mut places = 0..table.len();
        let first = places.find(|place| table.point(*place).hash() >= hash);
        first.unwrap_or(0)
    }

    fn agrees<P: Point>(hashes: impl Iterator<Item = u64>) {
        let mask = u64::MAX >> (64 - P::BITS);
        let points = (0..).zip(hashes);
        let points = points.map(|(owner, hash)| P::new(hash & mask, owner));
        let table = Table::<P>::new(points.collect());
        let around = |place| {
            let hash = table.point(place).hash();
            [hash.wrapping_sub(1), hash, hash.wrapping_add(1)].map(|near| near & mask)
        };
        let near = (0..table.len()).step_by(3).flat_map(around);
        let far = (0..200).map(|i| mix(i) & mask);
        for hash in near.chain(far).chain([0, 1, mask]) {
            assert_eq!(table.first(hash), first(&table, hash), "{hash:#x}");
        }
    }

    #[test]
    fn the_index_finds_what_a_walk_along_all_points_finds() {
        for len in [1, 2, 3, 4, 5, 7, 8, 9, 100, 257, 1000] {
            agrees::<Narrow>((0..len).map(mix));
            agrees::<Wide>((0..len).map(mix));
        }
        // At both ends of the circle.
        agrees::<Narrow>([0, 0, u64::MAX, u64::MAX].into_iter());
        agrees::<Wide>([0, u64::MAX, u64::MAX].into_iter());
    }

    #[test]
    fn points_that_crowd_are_found_too() {
        for len in [3, 4, 5, 16, 17, 20, 21, 500] {
            agrees::<Narrow>((0..len).map(|i| 7 + i));
            agrees::<Wide>((0..len).map(|i| u64::MAX / 3 + i));
            agrees::<Wide>((0..len).map(|_| u64::MAX / 3));
            agrees::<Wide>((0..len).map(|i| u64::MAX - i));
        }
    }

    #[test]
    fn of_equal_points_the_lesser_owner_is_first() {
        let points = [9, 3, 7].map(|owner| Narrow::new(5, owner));
        let table = Table::new(points.to_vec());
        assert_eq!(table.point(table.first(5)).owner(), 3);
        assert_eq!(table.first(6), 0);
    }
}
