use axiomatic_core::hash::{Algorithm, Hasher, Seed, mix};

use super::ln::{at_least, wait};
use crate::consistent_hash::membership::{Member, Membership};

/// The order in which each key prefers the members that may own keys.
///
/// Each member draws a number for each key, by the key's hash and its own
/// identity. Among equal weights the greatest draw is first. Otherwise each
/// draw is a time to wait, the shorter the more the member weighs, and who
/// waits the least is first: of exponential times with the rates w1 … wn the
/// first is the i-th with the probability wi / (w1 + … + wn).
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// What each draws by: its identity, hashed.
    seeds: Box<[u64]>,
    weights: Weights,
    /// Which members these are, unless they are all.
    indices: Option<Box<[u32]>>,
}

#[derive(Clone, Debug)]
enum Weights {
    Equal,
    Each(Box<[u32]>),
}

/// A member's claim to a key. Which of two is the better one is a total order,
/// in which no two members are equal.
#[derive(Copy, Clone, Debug)]
pub(super) struct Claim {
    draw: u64,
    /// Among the members of the order, not of the membership.
    place: u32,
    weight: u32,
}

impl Order {
    pub(crate) fn new(membership: &Membership, seed: Seed) -> Self {
        let mut order = Self::of(membership.eligible(), seed);
        if membership.is_whole() {
            order.indices = None;
        }
        order
    }

    /// Of these members alone, at least one, which all weigh something, by
    /// index. They draw what they would draw among all.
    pub(crate) fn of<'a>(members: impl IntoIterator<Item = &'a Member>, seed: Seed) -> Self {
        let members: Vec<&Member> = members.into_iter().collect();
        let hasher = Hasher::new(Algorithm::Xxh3, seed);
        let first = members[0].weight();
        let are_equal = members.iter().all(|member| member.weight() == first);
        Order {
            seeds: members
                .iter()
                .map(|member| mix(hasher.hash(member.id())))
                .collect(),
            weights: if are_equal {
                Weights::Equal
            } else {
                Weights::Each(members.iter().map(|member| member.weight()).collect())
            },
            indices: Some(members.iter().map(|member| member.index() as u32).collect()),
        }
    }

    /// Whether all weigh the same.
    pub(crate) fn is_uniform(&self) -> bool {
        matches!(self.weights, Weights::Equal)
    }

    /// The indices of its members.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).map(|place| self.index(place))
    }

    /// How many it orders.
    pub(crate) fn len(&self) -> usize {
        self.seeds.len()
    }

    /// Who is first: its index in the membership.
    #[inline]
    pub(crate) fn first(&self, hash: u64) -> usize {
        self.index(match &self.weights {
            Weights::Equal => self.greatest(hash),
            Weights::Each(weights) => self.soonest(hash, weights),
        })
    }

    /// The member at a place of the order.
    #[inline]
    pub(super) fn index(&self, place: usize) -> usize {
        match &self.indices {
            None => place,
            Some(indices) => indices[place] as usize,
        }
    }

    #[inline]
    fn greatest(&self, hash: u64) -> usize {
        let mut first = (0, 0);
        for (place, seed) in self.seeds.iter().enumerate() {
            let draw = mix(hash ^ seed);
            if draw > first.0 || place == 0 {
                first = (draw, place);
            }
        }
        first.1
    }

    #[inline]
    fn soonest(&self, hash: u64, weights: &[u32]) -> usize {
        let claim = |place: usize| Claim {
            draw: mix(hash ^ self.seeds[place]),
            place: place as u32,
            weight: weights[place],
        };
        let mut first = claim(0);
        let mut bound = first.bound();
        for place in 1..self.seeds.len().min(weights.len()) {
            let claim = claim(place);
            if bound.admits(&claim) && claim.is_before(&first) {
                first = claim;
                bound = first.bound();
            }
        }
        first.place as usize
    }

    /// Puts the claims that come after `last` into `into`, the best ones, in
    /// order. Says how many there were room for.
    pub(super) fn best(&self, hash: u64, last: Option<Claim>, into: &mut [Claim]) -> usize {
        let mut found = 0;
        let mut bound = Bound::NONE;
        for place in 0..self.seeds.len() {
            let claim = self.claim(hash, place);
            if found == into.len() && !bound.admits(&claim) {
                continue;
            }
            if last.is_some_and(|last| !last.is_before(&claim)) {
                continue;
            }
            // Where it belongs among those found: rarely far from the end.
            let mut at = found;
            while at > 0 && claim.is_before(&into[at - 1]) {
                at -= 1;
            }
            if at == into.len() {
                continue;
            }
            found = (found + 1).min(into.len());
            into.copy_within(at..found - 1, at + 1);
            into[at] = claim;
            bound = into[found - 1].bound();
        }
        found
    }

    #[inline]
    fn claim(&self, hash: u64, place: usize) -> Claim {
        Claim {
            draw: mix(hash ^ self.seeds[place]),
            place: place as u32,
            weight: match &self.weights {
                Weights::Equal => 1,
                Weights::Each(weights) => weights[place],
            },
        }
    }
}

impl Claim {
    pub(super) const NONE: Claim = Claim {
        draw: 0,
        place: 0,
        weight: 1,
    };

    pub(super) fn place(&self) -> usize {
        self.place as usize
    }

    /// By the time waited, then the draw, then the identity. The time never
    /// grows with the draw, so between equal weights the draws decide.
    fn is_before(&self, other: &Claim) -> bool {
        let by_draw = other.draw.cmp(&self.draw);
        let by_time = if self.weight == other.weight {
            by_draw
        } else {
            // wait / weight < wait / weight, without dividing.
            let (mine, its) = (wait(self.draw), wait(other.draw));
            let (mine, its) = (
                mine * u128::from(other.weight),
                its * u128::from(self.weight),
            );
            mine.cmp(&its).then(by_draw)
        };
        by_time.then(self.place.cmp(&other.place)).is_lt()
    }

    /// What a claim must satisfy to be before this one.
    fn bound(&self) -> Bound {
        let time = wait(self.draw) / u128::from(self.weight) + 1;
        Bound(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

/// The time that the claim to beat waits, rounded up: most others wait longer
/// by what is plain from their draws, and need no logarithm.
#[derive(Copy, Clone)]
struct Bound(u64);

impl Bound {
    const NONE: Bound = Bound(u64::MAX);

    #[inline(always)]
    fn admits(self, claim: &Claim) -> bool {
        u128::from(at_least(claim.draw)) < u128::from(self.0) * u128::from(claim.weight)
    }
}
