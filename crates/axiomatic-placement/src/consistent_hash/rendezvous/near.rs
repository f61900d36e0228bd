//! The first look at many draws: it leaves a few, of which the best are chosen
//! with care. What is near is known beforehand, so that a processor seldom
//! guesses wrong; where a draw has to beat those before it, it does so each
//! time one does, which costs as much as twenty draws.

/// How many a look leaves, about; and at most.
pub(super) const EXPECTED: u64 = 9;
pub(super) const MOST: usize = 24;

/// A few places, in ascending order.
pub(super) struct Near {
    places: [u32; MOST],
    count: usize,
}

impl Near {
    /// The places at which this is true of what is there, unless there are too
    /// many. One question is asked of eight together, since most have none.
    #[inline(always)]
    pub(super) fn of(all: &[u64], is_near: impl Fn(usize, u64) -> bool) -> Option<Self> {
        let mut near = Near {
            places: [0; MOST],
            count: 0,
        };
        let eights = all.chunks_exact(8);
        let rest = eights.remainder();
        let mut from = 0;
        for eight in eights {
            near.take(from, eight, &is_near)?;
            from += 8;
        }
        near.take(from, rest, &is_near)?;
        Some(near)
    }

    #[inline(always)]
    fn take(
        &mut self,
        from: usize,
        some: &[u64],
        is_near: impl Fn(usize, u64) -> bool,
    ) -> Option<()> {
        let mut bits = 0_u32;
        for (at, it) in some.iter().enumerate() {
            bits |= u32::from(is_near(from + at, *it)) << at;
        }
        while bits != 0 {
            *self.places.get_mut(self.count)? = from as u32 + bits.trailing_zeros();
            self.count += 1;
            bits &= bits - 1;
        }
        Some(())
    }

    pub(super) fn places(&self) -> &[u32] {
        &self.places[..self.count]
    }
}

/// How many are found at once without a guess.
pub(super) const FIRST: usize = 4;

/// Where the least of up to [`MOST`] numbers are, the least first: [`FIRST`] of
/// them, or all. None if some are so nearly equal that this is not certain.
///
/// The lowest bits of each give way to where it is, so that a number and its
/// place are one word, and passing it by those that are held is a minimum and
/// a maximum.
#[inline(always)]
pub(super) fn least(numbers: impl ExactSizeIterator<Item = u64>) -> Option<[usize; FIRST]> {
    const LOW: u64 = (MOST as u64).next_power_of_two() - 1;
    let count = numbers.len();
    // One more, which may be nearly equal to the last.
    let mut held = [u64::MAX; FIRST + 1];
    for (at, number) in (0..).zip(numbers) {
        let mut next = number & !LOW | at;
        for held in &mut held {
            (*held, next) = ((*held).min(next), (*held).max(next));
        }
    }
    let mut pairs = held[..count.min(FIRST + 1)].windows(2);
    let is_certain = pairs.all(|pair| pair[0] | LOW != pair[1] | LOW);
    is_certain.then(|| std::array::from_fn(|rank| (held[rank] & LOW) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_a_few_are_where_they_are() {
        let least = |numbers: &[u64]| least(numbers.iter().map(|number| number << 5));
        assert_eq!(least(&[7, 3, 9, 5, 1, 8]), Some([4, 1, 3, 0]));
        assert_eq!(least(&[2, 1]).unwrap()[..2], [1, 0]);
        assert_eq!(least(&[u64::MAX, 0]).unwrap()[..2], [1, 0]);
        assert_eq!(least(&[5]).unwrap()[0], 0);
    }

    #[test]
    fn what_is_nearly_equal_is_left_to_others() {
        let least = |numbers: &[u64]| least(numbers.iter().copied());
        assert_eq!(least(&[1, 0]), None);
        // The fourth and the fifth.
        assert_eq!(least(&[32, 64, 96, 129, 128]), None);
        assert!(least(&[32, 64, 96, 128, 160, 161]).is_some());
    }

    #[test]
    fn those_who_are_near_are_all_there_or_none() {
        for count in [0, 1, 7, 8, 9, 30, 64, 100] {
            let all: Vec<u64> = (0..count).map(axiomatic_core::hash::mix).collect();
            for limit in [0, u64::MAX / 50, u64::MAX / 8, u64::MAX / 2, u64::MAX] {
                let near = |it: u64| it <= limit;
                let expected = (0..).zip(&all).filter(|(_, it)| near(**it));
                let expected: Vec<u32> = expected.map(|(at, _)| at).collect();
                let found = Near::of(&all, |at, it| it == all[at] && near(it));
                let found = found.map(|near| near.places().to_vec());
                assert_eq!(found, (expected.len() <= MOST).then_some(expected));
            }
        }
    }
}
