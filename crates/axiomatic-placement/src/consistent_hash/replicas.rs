use std::fmt;
use std::ops::Deref;

use super::membership::{Member, Membership};

/// What no two replicas are to share, if it can be helped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Spread {
    /// A node.
    Node,
    /// A rack of a zone.
    Rack,
    /// A zone.
    Zone,
}

/// What to do where there are fewer domains than replicas are wanted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Rather have fewer replicas than two in one domain.
    Strict,
    /// Once there is no other zone, go on with other racks, and then with
    /// whoever is next.
    BestEffort,
}

/// The nodes that hold a key, the owner first.
#[derive(Clone)]
pub struct Replicas<'a> {
    members: Vec<&'a Member>,
    wanted: usize,
    spread: Spread,
}

impl Spread {
    fn is_shared(self, a: &Member, b: &Member) -> bool {
        match self {
            Spread::Node => a.index() == b.index(),
            Spread::Rack => a.shares_rack_with(b),
            Spread::Zone => a.shares_zone_with(b),
        }
    }

    /// How many domains there are among those who may own keys.
    fn domains(self, membership: &Membership) -> usize {
        match self {
            Spread::Node => membership.eligible_nodes(),
            Spread::Rack => membership.racks(),
            Spread::Zone => membership.zones(),
        }
    }

    /// What is tried one after the other.
    fn passes(self, shortage: Shortage) -> &'static [Spread] {
        use Spread::{Node, Rack, Zone};
        let from = match self {
            Zone => &[Zone, Rack, Node][..],
            Rack => &[Rack, Node],
            Node => &[Node],
        };
        match shortage {
            Shortage::Strict => &from[..1],
            Shortage::BestEffort => from,
        }
    }
}

impl<'a> Replicas<'a> {
    /// Of the candidates, which come in their order each time they are asked
    /// for: in each pass those that share nothing with whoever was taken.
    pub(super) fn choose<C: Iterator<Item = &'a Member>>(
        membership: &Membership,
        candidates: impl Fn() -> C,
        wanted: usize,
        spread: Spread,
        shortage: Shortage,
    ) -> Self {
        let mut members: Vec<&Member> = Vec::with_capacity(wanted.min(membership.members().len()));
        for pass in spread.passes(shortage) {
            let enough = wanted.min(pass.domains(membership));
            if members.len() >= enough {
                continue;
            }
            for candidate in candidates() {
                if !members
                    .iter()
                    .any(|member| pass.is_shared(member, candidate))
                {
                    members.push(candidate);
                    if members.len() == enough {
                        break;
                    }
                }
            }
        }
        Replicas {
            members,
            wanted,
            spread,
        }
    }

    /// How many domains they are spread over, of those asked for.
    pub fn domains(&self) -> usize {
        let is_first = |(at, member): &(usize, &&Member)| {
            !self.members[..*at]
                .iter()
                .any(|other| self.spread.is_shared(other, member))
        };
        self.members.iter().enumerate().filter(is_first).count()
    }

    /// Whether there are fewer than were wanted.
    pub fn is_short(&self) -> bool {
        self.members.len() < self.wanted
    }

    /// Whether there are as many as were wanted, and no two in one domain.
    pub fn is_spread(&self) -> bool {
        self.domains() == self.wanted
    }
}

impl<'a> Deref for Replicas<'a> {
    type Target = [&'a Member];

    fn deref(&self) -> &[&'a Member] {
        &self.members
    }
}

impl<'a> IntoIterator for Replicas<'a> {
    type Item = &'a Member;
    type IntoIter = std::vec::IntoIter<&'a Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl fmt::Debug for Replicas<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.members).finish()
    }
}
