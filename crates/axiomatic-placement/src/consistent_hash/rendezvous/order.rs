use axiomatic_core::hash::{Algorithm, Hasher, Seed, mix};

use super::ln::{at_least, wait};
use super::near::{self, FIRST, MOST, Near};
use super::weights::Weights;
use crate::consistent_hash::membership::{Member, Membership};

/// The order in which each key prefers some members.
///
/// Each member draws a number for each key: the 128-bit product of the key's
/// hash, mixed, and of its own identity's, folded to 64 bits. That is one
/// multiplication, where the finaliser of a hash takes two and twice the time.
/// Among equal weights the greatest draw is first. Otherwise each draw is a
/// time to wait, the shorter the more the member weighs, and who waits the
/// least is first: of exponential times with the rates w1 … wn the first is
/// the i-th with the probability wi / (w1 + … + wn).
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// What each draws by: its identity, hashed, and odd, so that no bit of a
    /// key is lost in the product.
    seeds: Box<[u64]>,
    weights: Weights,
    /// Which members these are, unless they are all.
    indices: Option<Box<[u32]>>,
}

/// A member's claim to a key: a total order, the least first, in which no two
/// members are equal. Among equal weights the draws decide, which is the same
/// order, since times never grow with the draws.
trait Claim: Copy + Ord + Default {
    fn place(&self) -> u32;
}

/// Greater draws first, then lesser places.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Equal {
    missed: u64,
    place: u32,
}

/// Lesser times first, then as equals.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Weighted {
    time: u128,
    equal: Equal,
}

/// How many can be asked for at once.
pub(super) const HANDFUL: usize = 8;

/// Among so many the first of unequal weights is found as fast by looking at
/// all: of 32, five beat those before them. Measured: at 100 it is a draw.
const FEW: usize = 128;

impl Order {
    /// Of all who may own keys.
    pub(crate) fn new(membership: &Membership, seed: Seed) -> Self {
        let mut order = Self::among(membership.eligible(), seed);
        if membership.is_whole() {
            order.indices = None;
        }
        order
    }

    /// Of some, at least one, of which each weighs something. They draw what
    /// they would draw among all.
    pub(crate) fn among<'a>(members: impl IntoIterator<Item = &'a Member>, seed: Seed) -> Self {
        let identities = Identities::new(seed);
        Self::of(members.into_iter().map(|member| {
            let hash = identities.hash(member.id());
            (member.index() as u32, (hash, u64::from(member.weight())))
        }))
    }

    /// Of whatever has an index, the hash of an identity, and a weight that is
    /// not 0.
    pub(crate) fn of(all: impl Iterator<Item = (u32, (u64, u64))>) -> Self {
        let (indices, all): (Vec<u32>, Vec<(u64, u64)>) = all.unzip();
        Order {
            seeds: all.iter().map(|(hash, _)| hash | 1).collect(),
            weights: Weights::of(all.iter().map(|(_, weight)| *weight)),
            indices: Some(indices.into()),
        }
    }

    /// Whether all weigh the same.
    pub(crate) fn is_uniform(&self) -> bool {
        matches!(self.weights, Weights::Equal { .. })
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
        let key = Key::new(hash);
        self.index(match &self.weights {
            Weights::Equal { .. } => self.greatest(key),
            Weights::Unequal {
                inverse,
                near,
                limits,
            } => self.soonest(key, inverse, *near, limits),
        })
    }

    /// The member at a place of the order: its index in the membership.
    #[inline]
    pub(super) fn index(&self, place: usize) -> usize {
        match &self.indices {
            None => place,
            Some(indices) => indices[place] as usize,
        }
    }

    #[inline]
    fn greatest(&self, key: Key) -> usize {
        let mut first = (0, 0);
        for (place, seed) in self.seeds.iter().enumerate() {
            let draw = key.draw(*seed);
            if draw > first.0 {
                first = (draw, place);
            }
        }
        first.1
    }

    #[inline]
    fn soonest(&self, key: Key, inverse: &[u64], near: u128, limits: &[u64]) -> usize {
        if self.len() > FEW {
            if let Some(some) = self.near(key, |place| limits[place]) {
                let found = self.soonest_of(key, inverse, some.places().iter().copied());
                // Nobody else's is as early.
                if !some.places().is_empty() && found.time <= near {
                    return found.equal.place as usize;
                }
            }
        }
        let all = 0..self.len() as u32;
        self.soonest_of(key, inverse, all).equal.place as usize
    }

    #[inline]
    fn soonest_of(&self, key: Key, inverse: &[u64], places: impl Iterator<Item = u32>) -> Weighted {
        let mut first: Option<Weighted> = None;
        for place in places {
            let inverse = inverse[place as usize];
            let draw = key.draw(self.seeds[place as usize]);
            if first.is_some_and(|first| time_at_least(draw, inverse) > first.time) {
                continue;
            }
            let claim = Weighted::new(draw, inverse, place);
            if first.is_none_or(|first| claim < first) {
                first = Some(claim);
            }
        }
        first.unwrap_or_default()
    }

    /// Those whose draws miss the greatest by no more than their limits.
    #[inline(always)]
    fn near(&self, key: Key, limit: impl Fn(usize) -> u64) -> Option<Near> {
        Near::of(&self.seeds, |place, seed| !key.draw(seed) <= limit(place))
    }

    /// Fills `into` with the places that come after `last`, the first ones, in
    /// their order. Says how many there were.
    pub(super) fn next(&self, hash: u64, last: Option<u32>, into: &mut [u32]) -> usize {
        let key = Key::new(hash);
        if last.is_none() {
            if let Some(found) = self.first_ones(key, into) {
                return found;
            }
        }
        let all = 0..self.len() as u32;
        let draw = |place: u32| key.draw(self.seeds[place as usize]);
        match &self.weights {
            Weights::Equal { .. } => {
                let claim = |draw, place| Equal::new(draw, place);
                let last = last.map(|last| claim(draw(last), last));
                let may_precede = |draw: u64, _, claim: &Equal| !draw <= claim.missed;
                let (found, _) = self.least(key, all, claim, may_precede, last, into);
                found
            }
            Weights::Unequal { inverse, .. } => {
                let claim = |draw, place| Weighted::new(draw, inverse[place as usize], place);
                let last = last.map(|last| claim(draw(last), last));
                let may_precede = |draw, place, claim: &Weighted| {
                    time_at_least(draw, inverse[place as usize]) <= claim.time
                };
                let (found, _) = self.least(key, all, claim, may_precede, last, into);
                found
            }
        }
    }

    /// The same from the first on, if those who are near are enough.
    #[inline]
    fn first_ones(&self, key: Key, into: &mut [u32]) -> Option<usize> {
        if into.len() > FIRST {
            return None;
        }
        let wanted = into.len().min(self.len());
        match &self.weights {
            Weights::Equal { near } => {
                let missed = |seed: &u64| !key.draw(*seed);
                if self.len() <= MOST {
                    let least = near::least(self.seeds.iter().map(missed))?;
                    for (into, place) in into[..wanted].iter_mut().zip(least) {
                        *into = place as u32;
                    }
                } else {
                    let some = self.near(key, |_| *near)?;
                    let places = some.places();
                    if places.len() < wanted {
                        return None;
                    }
                    let seeds = places.iter().map(|place| &self.seeds[*place as usize]);
                    let least = near::least(seeds.map(missed))?;
                    for (into, at) in into[..wanted].iter_mut().zip(least) {
                        *into = places[at];
                    }
                }
                Some(wanted)
            }
            Weights::Unequal {
                inverse,
                near,
                limits,
            } => {
                let some = self.near(key, |place| limits[place])?;
                let claim = |draw, place| Weighted::new(draw, inverse[place as usize], place);
                let may_precede = |draw, place, claim: &Weighted| {
                    time_at_least(draw, inverse[place as usize]) <= claim.time
                };
                let places = some.places().iter().copied();
                let (found, last) = self.least(key, places, claim, may_precede, None, into);
                (found == wanted && last.time <= *near).then_some(found)
            }
        }
    }

    /// By insertion: once as many are found as are wanted, few of the others
    /// can be before the last of them. Says how many there were, and the last
    /// one's claim.
    #[inline(always)]
    fn least<C: Claim>(
        &self,
        key: Key,
        places: impl Iterator<Item = u32>,
        claim: impl Fn(u64, u32) -> C,
        may_precede: impl Fn(u64, u32, &C) -> bool,
        last: Option<C>,
        into: &mut [u32],
    ) -> (usize, C) {
        let wanted = into.len().min(HANDFUL);
        let mut claims = [C::default(); HANDFUL];
        let mut found = 0;
        for place in places {
            let draw = key.draw(self.seeds[place as usize]);
            if found == wanted && !may_precede(draw, place, &claims[wanted - 1]) {
                continue;
            }
            let claim = claim(draw, place);
            if last.is_some_and(|last| claim <= last) {
                continue;
            }
            let mut at = found;
            if found < wanted {
                found += 1;
            } else if claim < claims[found - 1] {
                at -= 1;
            } else {
                continue;
            }
            while at > 0 && claim < claims[at - 1] {
                claims[at] = claims[at - 1];
                at -= 1;
            }
            claims[at] = claim;
        }
        for (into, claim) in into.iter_mut().zip(&claims) {
            *into = claim.place();
        }
        (found, claims[found.max(1) - 1])
    }
}

/// Hashes identities, for draws.
pub(crate) struct Identities {
    hasher: Hasher,
    /// XXH3 adds its seed to what it read of a short input: `n17` under the
    /// seed 1 is `n10` under 0, and two placements by these seeds would be one,
    /// with other names. This is of the seed alone, and keeps them apart.
    salt: u64,
}

impl Identities {
    pub(crate) fn new(seed: Seed) -> Self {
        let hasher = Hasher::new(Algorithm::Xxh3, seed);
        Identities {
            salt: hasher.hash(b""),
            hasher,
        }
    }

    pub(crate) fn hash(&self, identity: &[u8]) -> u64 {
        mix(self.hasher.hash(identity) ^ self.salt)
    }
}

/// A key's hash, prepared for draws: mixed, since a caller may hold a number
/// for a hash, and the products of small numbers are no draws.
#[derive(Copy, Clone)]
struct Key(u64);

impl Key {
    #[inline(always)]
    fn new(hash: u64) -> Self {
        Key(mix(hash))
    }

    #[inline(always)]
    fn draw(self, seed: u64) -> u64 {
        let product = u128::from(self.0) * u128::from(seed);
        (product >> 64) as u64 ^ product as u64
    }
}

impl Equal {
    #[inline(always)]
    fn new(draw: u64, place: u32) -> Self {
        Equal {
            missed: !draw,
            place,
        }
    }
}

impl Weighted {
    #[inline(always)]
    fn new(draw: u64, inverse: u64, place: u32) -> Self {
        // A wait has 70 bits, and the product is to have 128.
        let time = (wait(draw) >> 6) * u128::from(inverse);
        let equal = Equal::new(draw, place);
        Weighted { time, equal }
    }
}

impl Claim for Equal {
    fn place(&self) -> u32 {
        self.place
    }
}

impl Claim for Weighted {
    fn place(&self) -> u32 {
        self.equal.place
    }
}

/// No more than the time of that claim, without its logarithm: which all but a
/// few of many members are spared.
#[inline(always)]
fn time_at_least(draw: u64, inverse: u64) -> u128 {
    u128::from(at_least(draw) >> 6) * u128::from(inverse)
}
