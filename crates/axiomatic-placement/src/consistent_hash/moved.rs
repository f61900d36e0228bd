use std::collections::BTreeMap;
use std::fmt;

use axiomatic_core::hash::mix;

use super::membership::Membership;
use super::placement::Placement;

/// What a change will move, before it is made: asks both placements for the
/// owner of each of these hashes.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Membership, Node, Placement, Rendezvous};
/// use axiomatic_placement::consistent_hash::{moved, sample};
///
/// let nodes = |n| (0..n).map(|n| Node::new(format!("node-{n}")));
/// let old = Rendezvous::new(&Membership::new(1, nodes(9))?);
/// let new = old.over(&Membership::new(2, nodes(10))?)?;
///
/// let movement = moved(&old, &new, sample(100_000));
/// assert_eq!(movement.extra(), 0);
/// assert!((0.095..0.105).contains(&movement.share()));
/// println!("{movement}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn moved<P: Placement, Q: Placement>(
    old: &P,
    new: &Q,
    hashes: impl IntoIterator<Item = u64>,
) -> Movement {
    let mut movement = Movement::between(old.membership(), new.membership());
    let places = |membership: &Membership| -> Vec<usize> {
        let place = |member: &super::Member| {
            let by_id = |share: &Share| share.id.as_ref().cmp(member.id());
            let place = movement.shares.binary_search_by(by_id);
            place.expect("each member of both has a share")
        };
        membership.members().iter().map(place).collect()
    };
    let (olds, news) = (places(old.membership()), places(new.membership()));
    for hash in hashes {
        let from = olds[old.owner(hash).index()];
        let to = news[new.owner(hash).index()];
        movement.count(from, to);
    }
    movement
}

/// As many hashes, the same ones each time, as of keys that have nothing in
/// common.
pub fn sample(keys: u64) -> impl Iterator<Item = u64> + Clone {
    (0..keys).map(mix)
}

/// What a change moves, of the keys that were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Movement {
    keys: u64,
    moved: u64,
    ideal: f64,
    shares: Vec<Share>,
}

/// What a change moves to and from one node, in keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// The node.
    pub id: Box<[u8]>,
    /// How many it had.
    pub before: u64,
    /// How many it will have.
    pub after: u64,
    /// How many of those come to it.
    pub gained: u64,
    /// How many of those it had leave it.
    pub lost: u64,
}

impl Movement {
    fn between(old: &Membership, new: &Membership) -> Self {
        let mut weights: BTreeMap<&[u8], (f64, f64)> = BTreeMap::new();
        for member in old.members().iter().chain(new.members()) {
            weights.entry(member.id()).or_default();
        }
        for (id, weight) in fair_shares(old) {
            weights.entry(id).or_default().0 = weight;
        }
        for (id, weight) in fair_shares(new) {
            weights.entry(id).or_default().1 = weight;
        }
        let gain = |(before, after): &(f64, f64)| (after - before).max(0.0);
        Movement {
            keys: 0,
            moved: 0,
            ideal: weights.values().map(gain).sum(),
            shares: weights.into_keys().map(Share::none).collect(),
        }
    }

    fn count(&mut self, from: usize, to: usize) {
        self.keys += 1;
        self.shares[from].before += 1;
        self.shares[to].after += 1;
        if from != to {
            self.moved += 1;
            self.shares[from].lost += 1;
            self.shares[to].gained += 1;
        }
    }

    /// How many keys were asked for.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// How many of them have another owner than before.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// How many had to move, for each node to have what it will have.
    pub fn least(&self) -> u64 {
        let gain = |share: &Share| share.after.saturating_sub(share.before);
        self.shares.iter().map(gain).sum()
    }

    /// How many moved that need not have.
    pub fn extra(&self) -> u64 {
        self.moved - self.least()
    }

    /// Which share of the keys moves; 0 of no keys.
    pub fn share(&self) -> f64 {
        of(self.moved, self.keys)
    }

    /// Which share would have to move if each node had, before and after,
    /// exactly what its weight says.
    pub fn ideal(&self) -> f64 {
        self.ideal
    }

    /// What it means to each node of either membership, by identity.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }
}

impl Share {
    fn none(id: &[u8]) -> Self {
        Share {
            id: id.into(),
            before: 0,
            after: 0,
            gained: 0,
            lost: 0,
        }
    }
}

/// What each node's weight says, among those who may own keys.
fn fair_shares(membership: &Membership) -> impl Iterator<Item = (&[u8], f64)> {
    let total: u64 = membership.eligible().map(|m| u64::from(m.weight())).sum();
    let share = move |weight| f64::from(weight) / total as f64;
    let eligible = membership.eligible();
    eligible.map(move |member| (member.id(), share(member.weight())))
}

fn of(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A line for the whole, and one for each node that gains or loses.
impl fmt::Display for Movement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} keys move: {:.2} % (ideal {:.2} %), {:.3} % more than the least",
            self.moved,
            self.keys,
            100.0 * self.share(),
            100.0 * self.ideal,
            100.0 * of(self.extra(), self.keys),
        )?;
        let touched = self
            .shares
            .iter()
            .filter(|share| share.gained + share.lost > 0);
        for share in touched {
            write!(
                f,
                "\n{:>24}: {:>9} -> {:>9}, +{} -{}",
                share.id.escape_ascii().to_string(),
                share.before,
                share.after,
                share.gained,
                share.lost
            )?;
        }
        Ok(())
    }
}
