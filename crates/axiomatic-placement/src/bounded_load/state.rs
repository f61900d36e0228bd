//! What the handles and the guards of one membership share. It knows nothing
//! of the placement, so that guards have one type, and threads one stash.

use std::sync::Arc;
use std::thread::LocalKey;

use axiomatic_core::Ratio;
use axiomatic_core::hash::Seed;
use axiomatic_core::number_cell::{Setting, SpreadTally};
use axiomatic_core::shared::{Stash, Stashed};

use super::counts_cell::{InFlight, Total};
use super::rule::{Rule, is_less_loaded};
use crate::consistent_hash::rendezvous::{Order, Walk};
use crate::consistent_hash::{Member, Membership};

pub(super) struct State {
    pub(super) membership: Membership,
    /// By the index of the member.
    nodes: Box<[Bounded]>,
    /// The weight of all that may be picked.
    whole: u64,
    /// In which order nodes are tried that do not own the key.
    order: Order,
    pub(super) seed: Seed,
    pub(super) common: Arc<Common>,
}

/// A node, with its count, which later memberships go on with.
struct Bounded {
    in_flight: Arc<InFlight>,
    weight: u32,
}

/// What stays the same when the membership changes.
pub(super) struct Common {
    pub(super) total: Total,
    /// In parts per million.
    balance: Setting,
    pub(super) displaced: SpreadTally,
    pub(super) fallbacks: SpreadTally,
}

/// Where a request goes.
#[derive(Copy, Clone)]
pub(super) struct Place {
    pub(super) index: u32,
    pub(super) displacement: u32,
}

impl Common {
    pub(super) fn new(balance: Ratio) -> Self {
        Common {
            total: Total::new(),
            balance: Setting::new(balance.as_parts_per_million().into()),
            displaced: SpreadTally::new(),
            fallbacks: SpreadTally::new(),
        }
    }

    #[inline(always)]
    pub(super) fn balance(&self) -> Ratio {
        Ratio::parts_per_million(self.balance.load() as u32)
    }

    pub(super) fn set_balance(&self, balance: Ratio) {
        self.balance.store(balance.as_parts_per_million().into());
    }
}

impl State {
    pub(super) fn new(membership: &Membership, seed: Seed, common: Arc<Common>) -> Self {
        Self::going_on(membership, seed, common, |_| None)
    }

    /// Over another membership: what is in flight at a node that was there
    /// before is still in flight there.
    pub(super) fn over(&self, membership: &Membership) -> Self {
        let common = Arc::clone(&self.common);
        Self::going_on(membership, self.seed, common, |member| {
            let before = self.membership.get(member.id())?;
            Some(Arc::clone(&self.nodes[before.index()].in_flight))
        })
    }

    fn going_on(
        membership: &Membership,
        seed: Seed,
        common: Arc<Common>,
        count_of: impl Fn(&Member) -> Option<Arc<InFlight>>,
    ) -> Self {
        let node = |member: &Member| Bounded {
            in_flight: count_of(member).unwrap_or_else(|| Arc::new(InFlight::new())),
            weight: member.weight(),
        };
        State {
            nodes: membership.members().iter().map(node).collect(),
            whole: membership.eligible().map(|m| u64::from(m.weight())).sum(),
            order: Order::new(membership, seed),
            membership: membership.clone(),
            seed,
            common,
        }
    }

    /// Finds a place for a request, whose key this node owns, and takes it.
    #[inline(always)]
    pub(super) fn place(&self, hash: u64, owner: usize) -> Place {
        self.common.total.begin();
        let node = &self.nodes[owner];
        let held = node.in_flight.enter();
        // The first one has room whatever the total is.
        if held == 1 {
            return Place::at_owner(owner);
        }
        let rule = self.rule();
        if rule.allows(held, node.weight) {
            return Place::at_owner(owner);
        }
        node.in_flight.give_up();
        self.spill(hash, owner, held - 1, rule)
    }

    /// The others, in the order of the key. No more than n steps: wait-free.
    #[cold]
    fn spill(&self, hash: u64, owner: usize, held: u64, rule: Rule) -> Place {
        let mut least = (Place::at_owner(owner), (held, self.nodes[owner].weight));
        let others = Walk::new(&self.order, hash).filter(|index| *index != owner);
        for (index, displacement) in others.zip(1..) {
            let place = Place {
                index: index as u32,
                displacement,
            };
            let node = &self.nodes[index];
            // Whoever is plainly full is not written to. Having room is not
            // decided by this.
            let mut held = node.in_flight.held();
            if rule.allows(held + 1, node.weight) {
                held = node.in_flight.enter();
                if rule.allows(held, node.weight) {
                    self.common.displaced.count();
                    return place;
                }
                node.in_flight.give_up();
                held -= 1;
            }
            if is_less_loaded((held, node.weight), least.1) {
                least = (place, (held, node.weight));
            }
        }
        // Others were trying, placing and ending meanwhile. With m - 1 in flight
        // before this one, whoever has the least for its weight w has no more
        // than (m - 1) w / W, and so has room. It can only be above its cap by
        // those that came while they were looked at.
        let (place, _) = least;
        self.nodes[place.index as usize].in_flight.enter();
        self.common.fallbacks.count();
        if place.displacement > 0 {
            self.common.displaced.count();
        }
        place
    }

    /// What is in flight is read once a pick.
    #[inline(always)]
    fn rule(&self) -> Rule {
        Rule {
            balance: self.common.balance(),
            in_flight: self.common.total.read().max(1),
            whole: self.whole,
        }
    }

    /// The rule for the pick that would come next.
    pub(super) fn next_rule(&self) -> Rule {
        let mut rule = self.rule();
        rule.in_flight = self.common.total.read() + 1;
        rule
    }

    pub(super) fn held(&self, index: usize) -> u64 {
        self.nodes[index].in_flight.held()
    }

    /// A request that was placed there has ended. First the total, so that
    /// whoever takes its place is not judged by a total that still has it.
    #[inline(always)]
    pub(super) fn end(&self, place: Place) {
        self.common.total.end();
        self.nodes[place.index as usize].in_flight.leave();
    }
}

impl Place {
    #[inline(always)]
    fn at_owner(owner: usize) -> Self {
        Place {
            index: owner as u32,
            displacement: 0,
        }
    }
}

impl Stashed for State {
    fn stash() -> &'static LocalKey<Stash<Self>> {
        thread_local!(static STASH: Stash<State> = const { Stash::new() });
        &STASH
    }
}
