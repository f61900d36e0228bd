use std::fmt;
use std::sync::Arc;

use axiomatic_core::hash::{Algorithm as Hash, Hasher, Seed, mix};

use super::error::PlacementError;
use super::membership::{Member, Membership};
use super::placement::{Algorithm, Placement};
use super::ring::{Point, Seen, Table, Wide};

/// Multi-probe consistent hashing: one point a node on a circle, and several
/// places on it for a key; the node that comes soonest after one of these
/// places owns the key.
///
/// A ring in a hundredth of the memory, whose *fullest* node has little more
/// than its share: 1.07 to 1.17 times that, measured with 21 probes and 10 to
/// 1000 nodes. How little the emptiest one has is not bounded, for nothing
/// helps a point that stands close behind another: of 1000, some have a
/// hundredth of their share. Where that is bad, see [`Rendezvous`](super::Rendezvous) and
/// [`Maglev`](super::Maglev).
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_placement::consistent_hash::{Membership, MultiProbe, Node, Placement};
///
/// let nodes = ["a", "b", "c"].map(Node::new);
/// let placement = MultiProbe::new(&Membership::new(1, nodes)?)?;
/// let hash = Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(b"user:17");
/// let next = placement.candidates(hash).next();
/// assert_eq!(next, Some(placement.owner(hash)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// B. Appleton and M. O'Reilly, "Multi-probe consistent hashing", 2015
/// (<https://arxiv.org/abs/1505.00062>). Compatible with
/// <https://github.com/dgryski/go-mpchash>: its nodes are hashed by the function
/// it is given with the seed 0, which is the [hasher](Self::with) here, and its
/// keys with two more seeds, which are the two hashes of
/// [`owner_from`](Self::owner_from). Its nodes have no weights; here one that
/// weighs w has w points, of which the first is its own.
///
/// When a node comes, goes, or changes its weight, no keys move but to it or
/// from it. One that is [not eligible](Membership::eligible) keeps its points,
/// and they are passed over, which comes to the same as if it were gone. The
/// candidates are in the order of who would own the key if those before were
/// gone; so what becomes of a node changes nothing in front of it.
///
/// A lookup is 21 of a [ring](super::Ring)'s, in a small table.
#[derive(Clone)]
pub struct MultiProbe {
    table: Arc<Table<Wide>>,
    membership: Membership,
    /// How many may own keys.
    eligible: usize,
    probes: u32,
    hasher: Hasher,
}

impl MultiProbe {
    /// How many probes there are where nothing is said: 21. A peak of 1 + e
    /// takes 1 + 1/e of them, as the paper has it, so that is one of 1.05.
    pub const PROBES: u32 = 21;

    /// With 21 probes, and nodes hashed by XXH3 with the seed 0.
    ///
    /// # Errors
    ///
    /// If the weights are more points than a [ring](super::Ring::MAX_POINTS)
    /// can have.
    pub fn new(membership: &Membership) -> Result<Self, PlacementError> {
        let hasher = Hasher::new(Hash::Xxh3, Seed::fixed(0));
        Self::with(membership, Self::PROBES, hasher)
    }

    /// With so many probes, at least one, and nodes hashed by this hasher,
    /// whose hash has to have 64 bits.
    ///
    /// # Errors
    ///
    /// If the weights are more points than a [ring](super::Ring::MAX_POINTS)
    /// can have, or if there are no probes.
    pub fn with(
        membership: &Membership,
        probes: u32,
        hasher: Hasher,
    ) -> Result<Self, PlacementError> {
        if probes == 0 {
            return Err(PlacementError::NoPoints);
        }
        Table::<Wide>::admit(membership.total_weight())?;
        let mut points = Vec::new();
        for member in membership.members() {
            let mut hash = hasher.hash(member.id());
            for _ in 0..member.weight() {
                points.push(Wide::new(hash, member.index() as u32));
                hash = mix(hash);
            }
        }
        let table = Arc::new(Table::new(points));
        Ok(Self::of(table, membership, probes, hasher))
    }

    fn of(table: Arc<Table<Wide>>, membership: &Membership, probes: u32, hasher: Hasher) -> Self {
        MultiProbe {
            table,
            membership: membership.clone(),
            eligible: membership.eligible().count(),
            probes,
            hasher,
        }
    }

    /// How many places a key has.
    pub fn probes(&self) -> u32 {
        self.probes
    }

    /// Who owns the key that has these two hashes: its places are `start`,
    /// `start + step`, `start + 2 step` and so on.
    pub fn owner_from(&self, start: u64, step: u64) -> &Member {
        let mut nearest = (u64::MAX, 0);
        let mut probe = start;
        for i in 0..self.probes {
            let place = self.eligible_from(self.above(probe));
            let distance = self.table.point(place).hash().wrapping_sub(probe);
            // Of two as near the earlier probe's, as in the original.
            if distance < nearest.0 || i == 0 {
                nearest = (distance, place);
            }
            probe = probe.wrapping_add(step);
        }
        self.member(nearest.1)
    }

    /// Whom to ask for the key that has these two hashes: all who may own keys,
    /// each once, the owner first.
    ///
    /// Allocates nothing for the first one; then a number for each probe, and
    /// beyond 256 members a bit for each.
    pub fn candidates_from(&self, start: u64, step: u64) -> impl Iterator<Item = &Member> {
        Candidates {
            of: self,
            start,
            step,
            places: Vec::new(),
            seen: Seen::none_of(self.membership.members().len()),
            given: 0,
        }
    }

    /// The place of the first point beyond a probe. One at the probe itself
    /// does not count, as in the original.
    #[inline]
    fn above(&self, probe: u64) -> usize {
        match probe.checked_add(1) {
            Some(next) => self.table.first(next),
            None => 0,
        }
    }

    /// The first place from there on whose member may own keys: everybody who
    /// may has a point.
    #[inline]
    fn eligible_from(&self, mut place: usize) -> usize {
        if !self.membership.is_whole() {
            while !self.membership.is_eligible(self.member(place)) {
                place = self.table.after(place);
            }
        }
        place
    }

    #[inline]
    fn member(&self, place: usize) -> &Member {
        &self.membership.members()[self.table.point(place).owner() as usize]
    }
}

/// Each probe goes on from its point when that one's member is given out.
struct Candidates<'a> {
    of: &'a MultiProbe,
    start: u64,
    step: u64,
    /// Where each probe is; none before the second candidate.
    places: Vec<u32>,
    seen: Seen,
    given: usize,
}

impl<'a> Iterator for Candidates<'a> {
    type Item = &'a Member;

    fn next(&mut self) -> Option<&'a Member> {
        let of = self.of;
        if self.given == of.eligible {
            return None;
        }
        let member = if self.given == 0 {
            of.owner_from(self.start, self.step)
        } else {
            self.nearest()
        };
        self.given += 1;
        self.seen.insert(member.index() as u32);
        Some(member)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.of.eligible - self.given;
        (left, Some(left))
    }
}

impl<'a> Candidates<'a> {
    /// The owner, if those given out were gone: there is one left.
    fn nearest(&mut self) -> &'a Member {
        let of = self.of;
        let probes = (0..u64::from(of.probes)).map(|i| {
            let away = self.step.wrapping_mul(i);
            self.start.wrapping_add(away)
        });
        if self.places.is_empty() {
            let places = probes.clone().map(|probe| of.above(probe) as u32);
            self.places = places.collect();
        }
        let mut nearest = None;
        for (place, probe) in self.places.iter_mut().zip(probes) {
            let mut at = of.eligible_from(*place as usize);
            while self.seen.contains(of.table.point(at).owner()) {
                at = of.eligible_from(of.table.after(at));
            }
            *place = at as u32;
            let distance = of.table.point(at).hash().wrapping_sub(probe);
            if nearest.is_none_or(|(least, _)| distance < least) {
                nearest = Some((distance, at));
            }
        }
        of.member(nearest.map_or(0, |(_, at)| at))
    }
}

impl ExactSizeIterator for Candidates<'_> {}

/// The second hash is [mixed](mix) from the first.
impl Placement for MultiProbe {
    fn algorithm(&self) -> Algorithm {
        Algorithm::MultiProbe
    }

    fn membership(&self) -> &Membership {
        &self.membership
    }

    fn owner(&self, hash: u64) -> &Member {
        self.owner_from(hash, mix(hash))
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member> {
        self.candidates_from(hash, mix(hash))
    }

    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        if membership.has_roster_of(&self.membership) {
            let table = Arc::clone(&self.table);
            return Ok(Self::of(table, membership, self.probes, self.hasher));
        }
        Self::with(membership, self.probes, self.hasher)
    }
}

impl fmt::Debug for MultiProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiProbe")
            .field("probes", &self.probes)
            .field("hasher", &self.hasher)
            .field("membership", &self.membership)
            .finish()
    }
}
