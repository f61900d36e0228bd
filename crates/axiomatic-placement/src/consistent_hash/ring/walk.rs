use super::Ring;
use super::seen::Seen;
use crate::consistent_hash::membership::Member;

/// Goes along a ring, from a point on, past those it has been to.
pub(super) struct Walk<'a> {
    ring: &'a Ring,
    /// The next place to look at, and how many are left.
    at: usize,
    points: usize,
    /// Behind all points come the members that have none.
    rest: usize,
    seen: Seen,
    left: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(ring: &'a Ring, from: usize) -> Self {
        Walk {
            ring,
            at: from,
            points: ring.points.len(),
            rest: 0,
            seen: Seen::none_of(ring.membership.members().len()),
            left: ring.eligible,
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a Member;

    fn next(&mut self) -> Option<&'a Member> {
        // So as not to go round once more for nobody.
        self.left = self.left.checked_sub(1)?;
        let ring = self.ring;
        let members = ring.membership.members();
        while self.points > 0 {
            let owner = ring.points.owner(self.at);
            self.at = ring.points.after(self.at);
            self.points -= 1;
            let member = &members[owner as usize];
            if ring.membership.is_eligible(member) && self.seen.insert(owner) {
                return Some(member);
            }
        }
        while let Some(member) = members.get(self.rest) {
            self.rest += 1;
            if ring.membership.is_eligible(member) && self.seen.insert(member.index() as u32) {
                return Some(member);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Walk<'_> {}
