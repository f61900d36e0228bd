use std::iter;

use super::near::FIRST;
use super::order::{HANDFUL, Order};

/// Goes through an order, from the first on, a handful at a time: each handful
/// takes a look at every member, and remembers only where the last one ended.
pub(crate) struct Walk<'a> {
    order: &'a Order,
    hash: u64,
    /// Places in the order; how many are held, how many of these given out.
    handful: [u32; HANDFUL],
    held: usize,
    given: usize,
    left: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(order: &'a Order, hash: u64) -> Self {
        Walk {
            order,
            hash,
            handful: [0; HANDFUL],
            held: 0,
            given: 0,
            left: order.len(),
        }
    }

    /// Goes through it behind one index of the membership, which another order
    /// put first.
    pub(crate) fn behind(order: &'a Order, hash: u64, first: usize) -> impl Iterator<Item = usize> {
        let rest = Walk::new(order, hash).filter(move |index| *index != first);
        iter::once(first).chain(rest)
    }

    fn refill(&mut self) {
        let last = self.held.checked_sub(1).map(|last| self.handful[last]);
        // Most callers want no more than a few.
        let size = if last.is_none() { FIRST } else { HANDFUL };
        self.held = self.order.next(self.hash, last, &mut self.handful[..size]);
        self.given = 0;
    }
}

/// Indices of the membership.
impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        if self.given == self.held {
            self.refill();
        }
        let place = self.handful[self.given];
        self.given += 1;
        self.left -= 1;
        Some(self.order.index(place as usize))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Walk<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::hash::mix;

    /// Whoever comes next behind a place is found by looking at all; the first
    /// ones are not. Each is followed by its next one, and nobody is twice
    /// there: so it is the order.
    fn is_in_order(order: &Order, hash: u64) {
        let walk: Vec<usize> = Walk::new(order, hash).collect();
        assert_eq!(walk[0], order.first(hash));
        assert_eq!(walk.len(), order.len());
        let mut seen = vec![false; order.len()];
        for place in &walk {
            assert!(!std::mem::replace(&mut seen[*place], true), "{walk:?}");
        }
        for pair in walk.windows(2).take(6) {
            let mut next = [0];
            order.next(hash, Some(pair[0] as u32), &mut next);
            assert_eq!(next[0] as usize, pair[1], "{walk:?}");
        }
    }

    #[test]
    fn a_walk_goes_from_the_first_to_the_last() {
        type Weight = fn(u64) -> u64;
        let weights: [Weight; 4] = [
            |_| 1,
            |n| n + 1,
            |n| 1 << (n % 31),
            |n| if n == 3 { u64::from(u32::MAX) } else { 1 },
        ];
        for count in [1, 2, 3, 4, 5, 24, 25, 26, 60, 300] {
            for weight in weights {
                let member = |n: u64| (n as u32, (mix(n), weight(n)));
                let order = Order::of((0..count).map(member));
                for hash in 0..200 {
                    is_in_order(&order, hash);
                }
            }
        }
    }

    /// Once in ten thousand times all who are near are late, among them the one
    /// that always is near, and once in some of these somebody else is first.
    #[test]
    fn the_first_alone_is_the_first_of_all() {
        let member = |n: u64| (n as u32, (mix(n), if n == 0 { 50 } else { 1 }));
        let order = Order::of((0..200).map(member));
        for hash in 0..1 << 19 {
            let first = Walk::new(&order, hash).next();
            assert_eq!(Some(order.first(hash)), first, "{hash}");
        }
    }

    #[test]
    fn equal_draws_are_in_the_order_of_places() {
        for count in [2, 5, 24, 40] {
            let order = Order::of((0..count).map(|n| (n, (7, 1))));
            for hash in 0..100 {
                let walk: Vec<usize> = Walk::new(&order, hash).collect();
                assert!(walk.is_sorted() && walk.len() == count as usize);
            }
        }
    }
}
