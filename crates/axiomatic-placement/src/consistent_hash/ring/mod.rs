mod envoy;
mod format;
mod haproxy;
#[cfg(feature = "ketama")]
mod libketama;
#[cfg(feature = "nginx")]
mod nginx;
mod points;
mod seen;
mod table;
mod walk;

use std::fmt;
use std::sync::Arc;

use super::error::PlacementError;
use super::membership::{Member, Membership};
use super::placement::{Algorithm, Placement};
use points::Points;
use walk::Walk;

pub use format::Format;
pub(super) use seen::Seen;
pub(super) use table::{Point, Table, Wide};

/// A ring of points, as somebody else's: keys stay where libketama, nginx,
/// Envoy or HAProxy put them.
///
/// For that it is here. Where nobody else has to agree,
/// [`Rendezvous`](super::Rendezvous) and [`Maglev`](super::Maglev) balance
/// better: with 160 points a node the fullest one has about a quarter more
/// than its share.
///
/// The hash to ask for is [`Format::hash`] of the key. Of 32-bit formats
/// only the lower 32 bits of it count.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Format, Membership, Node, Placement, Ring};
///
/// let nodes = ["127.0.0.1:90", "127.0.0.1:91", "127.0.0.1:92"].map(Node::new);
/// let ring = Ring::new(&Membership::new(1, nodes)?, Format::ENVOY)?;
/// let hash = Format::ENVOY.hash(b"/some/path");
/// let next: Vec<_> = ring.candidates(hash).collect();
/// assert_eq!(next.len(), 3);
/// assert_eq!(next[0].id(), ring.owner(hash).id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Where it says more than the original
///
/// - Neither the order in which nodes were listed nor chance decides anything.
///   Of two equal points the one of the lesser identity counts; the other one
///   is behind it, and takes its keys if that node is down. (libketama, Envoy
///   and nginx sort unstably; nginx and pingora-ketama drop the second one.
///   HAProxy's are never equal.)
/// - A node that is [not eligible](Membership::eligible) keeps its points, and
///   they are passed over: exactly its own keys go elsewhere, and come back.
///   So does nginx. HAProxy takes the points out, which comes to the same.
///   libketama knows no such state. Envoy builds another ring without the
///   host, in which the fractions, and with them some keys of other hosts, may
///   fall otherwise: for its answers leave the host out of the membership.
/// - A node of weight 0 has no points. One that has a weight may be left
///   without any by libketama's rounding, or by Envoy's `most`. It owns nothing
///   as long as an eligible one has a point, and is behind all others among the
///   candidates.
///
/// # What moves
///
/// With nginx's and HAProxy's points, which depend on nothing but their own
/// node: keys of the node that comes, goes or changes its weight, and no other
/// ones. With libketama's and Envoy's also some between others, where their
/// share of the points changes: when one of fifty weights doubles, 1.9 % of the
/// keys have to move, and 2.5 % and 1.8 % more do. As long as weights are equal
/// with libketama, none do, but for the numbers of nodes that its
/// [rounding](Format) does not like.
///
/// # Candidates
///
/// Owners of points, from the owner's on, each once. HAProxy does the same
/// where a server is to be avoided or is full, and it looks both ways only for
/// the owner: who comes next if the owner is *down* is the nearest of those
/// left, not always the second candidate. In the other formats it is.
#[derive(Clone)]
pub struct Ring {
    points: Arc<Points>,
    membership: Membership,
    /// How many may own keys.
    eligible: usize,
    format: Format,
}

impl Ring {
    /// The most points a ring of libketama's, nginx's or HAProxy's can have:
    /// 2^26, in 8 bytes each.
    pub const MAX_POINTS: u64 = Table::<Wide>::MAX_POINTS;

    /// A ring of this format.
    ///
    /// # Errors
    ///
    /// If an identity or a weight is none that the format knows
    /// ([`Malformed`](PlacementError::Malformed),
    /// [`TooHeavy`](PlacementError::TooHeavy)), or if there would be more
    /// points than there can be, or none.
    pub fn new(membership: &Membership, format: Format) -> Result<Self, PlacementError> {
        let points = Arc::new(format.points(membership)?);
        Ok(Ring::of(points, membership, format))
    }

    fn of(points: Arc<Points>, membership: &Membership, format: Format) -> Self {
        Ring {
            points,
            membership: membership.clone(),
            eligible: membership.eligible().count(),
            format,
        }
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its points in order, each with the member whose it is, eligible or not.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u64, &Member)> {
        (0..self.points.len()).map(|place| {
            let owner = self.points.owner(place) as usize;
            (self.points.hash(place), &self.membership.members()[owner])
        })
    }

    /// The place of the point whose the hash is, if an eligible one has any.
    fn place(&self, hash: u64) -> Option<usize> {
        let (first, _) = self.points.first(hash);
        let next = self.eligible_from(first, Points::after)?;
        if self.format != Format::Haproxy {
            return Some(next);
        }
        let last = self.eligible_from(self.points.before(first), Points::before)?;
        // Both wrap, as the circle does. Between two as near it is the one
        // before.
        let distance = |from: u64, to: u64| (to as u32).wrapping_sub(from as u32);
        let back = distance(self.points.hash(last), hash);
        let forth = distance(hash, self.points.hash(next));
        Some(if back <= forth { last } else { next })
    }

    fn eligible_from(&self, from: usize, step: fn(&Points, usize) -> usize) -> Option<usize> {
        let mut place = from;
        for _ in 0..self.points.len() {
            let owner = self.points.owner(place) as usize;
            let member = &self.membership.members()[owner];
            if self.membership.is_eligible(member) {
                return Some(place);
            }
            place = step(&self.points, place);
        }
        None
    }
}

impl Placement for Ring {
    fn algorithm(&self) -> Algorithm {
        self.format.algorithm()
    }

    fn membership(&self) -> &Membership {
        &self.membership
    }

    #[inline]
    fn owner(&self, hash: u64) -> &Member {
        let members = self.membership.members();
        if self.membership.is_whole() && self.format != Format::Haproxy {
            let (_, owner) = self.points.first(hash);
            return &members[owner as usize];
        }
        match self.place(hash) {
            Some(place) => &members[self.points.owner(place) as usize],
            // A membership always has an eligible one.
            None => self.membership.eligible().next().unwrap_or(&members[0]),
        }
    }

    /// Allocates nothing for the first one, nor for others up to 256 members;
    /// beyond that a bit for each member.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member> {
        Walk::new(self, self.place(hash).unwrap_or(0))
    }

    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        if membership.has_roster_of(&self.membership) {
            let points = Arc::clone(&self.points);
            return Ok(Ring::of(points, membership, self.format));
        }
        Ring::new(membership, self.format)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("format", &self.format)
            .field("points", &self.points.len())
            .field("membership", &self.membership)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistent_hash::{Node, State};

    #[test]
    fn a_ring_over_other_states_shares_its_points() {
        let nodes = ["a", "b", "c"].map(Node::new);
        let membership = Membership::new(1, nodes).unwrap();
        let ring = Ring::new(&membership, Format::ENVOY).unwrap();
        let down = membership.marked("b", State::Down).unwrap();
        let over = ring.over(&down).unwrap();
        assert!(Arc::ptr_eq(&ring.points, &over.points));
        assert_eq!(over.membership(), &down);

        let fewer = Membership::new(2, ["a", "b"].map(Node::new)).unwrap();
        let over = over.over(&fewer).unwrap();
        assert!(!Arc::ptr_eq(&ring.points, &over.points));
        assert_eq!(over.membership(), &fewer);
    }
}
