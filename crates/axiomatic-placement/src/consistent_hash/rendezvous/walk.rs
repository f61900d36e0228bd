use std::iter;

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

/// Most callers want no more than a few.
const FIRST: usize = 4;

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
