//! Random scripts against a naive reference.

use axiomatic_core::Ratio;
use axiomatic_placement::bounded_load::{BoundedLoad, OwnedPick};
use axiomatic_placement::consistent_hash::{
    Member, Membership, Node, Placement, Rendezvous, State,
};
use proptest::prelude::*;

use super::Modulo;

#[derive(Clone, Debug)]
enum Step {
    Pick(u64),
    /// Of those in flight the one at this place, modulo their number.
    Drop(usize),
    Balance(u32),
    Mark(usize, State),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let state = prop_oneof![Just(State::Up), Just(State::Draining), Just(State::Down)];
    let step = prop_oneof![
        // Few keys, so that some are hot.
        8 => (0u64..12).prop_map(Step::Pick),
        5 => any::<usize>().prop_map(Step::Drop),
        1 => (1_000_000u32..2_000_000).prop_map(Step::Balance),
        1 => (any::<usize>(), state).prop_map(|(node, state)| Step::Mark(node, state)),
    ];
    prop::collection::vec(step, 1..200)
}

/// By the definition, with a division, and every count kept twice.
struct Reference {
    membership: Membership,
    millionths: u128,
    in_flight: Vec<u128>,
}

impl Reference {
    fn cap(&self, index: usize) -> u128 {
        let total = self.in_flight.iter().sum::<u128>() + 1;
        let weight = u128::from(self.membership.members()[index].weight());
        let eligible = self.membership.eligible();
        let whole: u128 = eligible.map(|m| u128::from(m.weight())).sum();
        (self.millionths * total * weight)
            .div_ceil(1_000_000 * whole)
            .max(1)
    }

    /// Where it goes, and past how many.
    fn pick(&mut self, hash: u64) -> (usize, usize) {
        let owner = Modulo(self.membership.clone()).owner(hash).index();
        let order = Rendezvous::new(&self.membership);
        let others = order.candidates(hash).map(Member::index);
        let others = others.filter(|index| *index != owner);
        let order: Vec<usize> = [owner].into_iter().chain(others).collect();
        let has_room = |index: &usize| self.in_flight[*index] < self.cap(*index);
        let passed = order.iter().position(has_room);
        let passed = passed.expect("one after the other, some node has room");
        self.in_flight[order[passed]] += 1;
        (order[passed], passed)
    }
}

proptest! {
    #[test]
    fn one_after_the_other_each_request_goes_where_the_definition_says(
        weights in prop::collection::vec(prop_oneof![4 => 1u32..6, 1 => 0u32..1_000_000], 1..9),
        millionths in 1_000_000u32..1_500_000,
        steps in steps(),
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let nodes = (0..).zip(&weights).map(|(i, w)| Node::new(format!("n{i}")).weighing(*w));
        let membership = Membership::new(1, nodes).unwrap();
        let balance = Ratio::parts_per_million(millionths);
        let mut bounded = BoundedLoad::new(Modulo(membership.clone()), balance).unwrap();
        let mut reference = Reference {
            in_flight: vec![0; weights.len()],
            millionths: millionths.into(),
            membership,
        };
        let mut picks: Vec<OwnedPick> = Vec::new();
        for step in steps {
            match step {
                Step::Pick(hash) => {
                    let expected = reference.pick(hash);
                    let pick = bounded.pick_owned(hash);
                    prop_assert_eq!((pick.index(), pick.displacement()), expected);
                    picks.push(pick);
                }
                Step::Drop(_) if picks.is_empty() => {}
                Step::Drop(which) => {
                    let pick = picks.swap_remove(which % picks.len());
                    reference.in_flight[pick.index()] -= 1;
                }
                Step::Balance(millionths) => {
                    bounded.set_balance(Ratio::parts_per_million(millionths)).unwrap();
                    reference.millionths = millionths.into();
                }
                Step::Mark(node, state) => {
                    let node = format!("n{}", node % weights.len());
                    reference.membership = reference.membership.marked(node, state).unwrap();
                    bounded = bounded.over(&reference.membership).unwrap();
                }
            }
            let snapshot = bounded.snapshot();
            prop_assert_eq!(snapshot.in_flight(), picks.len() as u64);
            for (index, node) in snapshot.nodes().iter().enumerate() {
                prop_assert_eq!(u128::from(node.in_flight()), reference.in_flight[index]);
                prop_assert_eq!(u128::from(node.cap()), reference.cap(index));
            }
        }
        prop_assert_eq!(bounded.snapshot().fallbacks(), 0);
        drop(picks);
        prop_assert!(bounded.snapshot().nodes().iter().all(|node| node.in_flight() == 0));
        prop_assert_eq!(bounded.snapshot().in_flight(), 0);
    }
}
