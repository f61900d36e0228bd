use super::*;

use std::collections::BTreeMap;

use axiomatic_placement::slot_map::{ApplyError, Plan, Role, SlotMapError, Spreading};
use proptest::prelude::*;

/// Who owns each slot and who has copies of it, by identity.
type Held = Vec<(Vec<u8>, Vec<Vec<u8>>)>;

fn held(map: &SlotMap) -> Held {
    let ids = |slot| map.holders(slot).map(|holder| holder.id().to_vec());
    let held = (0..map.slots()).map(|slot| {
        let copies: Vec<_> = ids(slot).skip(1).collect();
        let owner = ids(slot).next().unwrap();
        (owner, sorted(copies))
    });
    held.collect()
}

fn sorted(mut ids: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    ids.sort();
    ids
}

/// What is held after these moves, one by one.
fn moved(mut held: Held, plan: &Plan) -> Held {
    for each in plan.diff() {
        let (owner, copies) = &mut held[each.slot() as usize];
        match each.role() {
            Role::Owner => {
                assert_eq!(each.from(), Some(&owner[..]));
                *owner = each.to().unwrap().to_vec();
            }
            Role::Copy => {
                if let Some(from) = each.from() {
                    let at = copies.iter().position(|copy| copy == from).unwrap();
                    copies.remove(at);
                }
                copies.extend(each.to().map(<[u8]>::to_vec));
            }
        }
    }
    let held = held.into_iter();
    held.map(|(owner, copies)| (owner, sorted(copies)))
        .collect()
}

/// How many slots each node should own, by comparing fractions instead of
/// sorting remainders: one after the other is given to whoever is furthest
/// below its share, and nobody gets more than the share rounded up.
fn fair(membership: &Membership, slots: u32) -> BTreeMap<Vec<u8>, u64> {
    let eligible: Vec<_> = membership.eligible().collect();
    let total: u128 = eligible.iter().map(|m| u128::from(m.weight())).sum();
    let exact = |weight: u32| u128::from(slots) * u128::from(weight);
    let floor = |weight| exact(weight) / total;
    let mut fair: Vec<_> = eligible.iter().map(|m| floor(m.weight())).collect();
    while fair.iter().sum::<u128>() < u128::from(slots) {
        let below = |at: usize| exact(eligible[at].weight()) as i128 - (fair[at] * total) as i128;
        let mut furthest = 0;
        for at in 0..fair.len() {
            if below(at) > below(furthest) {
                furthest = at;
            }
        }
        fair[furthest] += 1;
    }
    let ids = eligible.iter().map(|m| m.id().to_vec());
    ids.zip(fair.into_iter().map(|fair| fair as u64)).collect()
}

fn owned_by_id(map: &SlotMap) -> BTreeMap<Vec<u8>, u64> {
    let counts = map.counts().filter(|(_, held)| held.owned > 0);
    counts
        .map(|(m, held)| (m.id().to_vec(), held.owned.into()))
        .collect()
}

/// How many slots have to change owners at the least.
fn least(map: &SlotMap, membership: &Membership) -> u64 {
    let have = owned_by_id(map);
    let fair = fair(membership, map.slots()).into_iter();
    fair.map(|(id, fair)| fair.saturating_sub(*have.get(&id).unwrap_or(&0)))
        .sum()
}

fn new_owners(plan: &Plan) -> Vec<u32> {
    let moves = plan.diff().moves().iter();
    let owners = moves.filter(|each| each.role() == Role::Owner);
    owners
        .map(axiomatic_placement::slot_map::Move::slot)
        .collect()
}

fn bold(map: &SlotMap, membership: &Membership) -> SlotMap {
    map.apply(&map.rebalanced(membership, u64::MAX).unwrap())
        .unwrap()
}

#[test]
fn a_node_that_joins_takes_its_share_and_nothing_else_moves() {
    let map = SlotMap::new(&nodes(&["a", "b", "c"]), Config::new(xxh3())).unwrap();
    let plan = map
        .rebalanced(&nodes(&["a", "b", "c", "d"]), u64::MAX)
        .unwrap();
    let lines = "epoch 1 to 2, 0 slots remain\n\
        4096-5461: a -> d\n9558-10922: b -> d\n15019-16383: c -> d\n";
    assert_eq!(plan.to_string(), lines);
    assert_eq!(plan.diff().transfers(), 4096);
    assert_eq!(owned(plan.after()), [4096; 4]);
    assert_eq!(plan.after().epoch(), 2);
}

#[test]
fn what_is_most_urgent_moves_first() {
    let nodes = |c, d| {
        let all = [
            Node::new("a"),
            Node::new("b"),
            Node::new("c").being(c),
            Node::new("d").being(d),
            Node::new("e").weighing(3),
        ];
        Membership::new(2, all).unwrap()
    };
    let config = Config::new(xxh3()).slots(35);
    let map = SlotMap::new(&nodes(State::Up, State::Up), config).unwrap();
    assert_eq!(owned(&map), [5, 5, 5, 5, 15]);
    // d is down and c is to be emptied, so that a and b have two too few and e
    // has six. From now on a weighs nothing: it has five too many.
    let later = nodes(State::Draining, State::Down);
    let a = Node::new("a").weighing(0);
    let others = later.members()[1..].iter().map(|m| m.node().clone());
    let later = Membership::new(2, std::iter::once(a).chain(others)).unwrap();
    let froms = |budget| {
        let plan = map.rebalanced(&later, budget).unwrap();
        let moves = plan.diff().moves().iter();
        let mut froms: Vec<_> = moves.map(|each| each.from().unwrap()[0] as char).collect();
        froms.sort_unstable();
        (froms.into_iter().collect::<String>(), plan.remaining())
    };
    assert_eq!(froms(0), (String::new(), 15));
    assert_eq!(froms(3), ("ddd".into(), 12));
    assert_eq!(froms(5), ("ddddd".into(), 10));
    assert_eq!(froms(7), ("aaddddd".into(), 8));
    assert_eq!(froms(99), ("aaaaacccccddddd".into(), 0));
}

#[test]
fn of_those_that_have_too_many_who_has_the_most_gives_first() {
    let weighing = |weights: [u32; 4]| {
        let ids = ["a", "b", "c", "d"].into_iter().zip(weights);
        Membership::new(1, ids.map(|(id, weight)| Node::new(id).weighing(weight))).unwrap()
    };
    let map = SlotMap::new(&weighing([6, 10, 0, 0]), Config::new(xxh3()).slots(16)).unwrap();
    let plan = map.rebalanced(&weighing([1, 1, 1, 1]), 5).unwrap();
    // b had six too many and gave four until it had two, as a did, which then
    // gave one; c and d had four too few each.
    assert_eq!(owned(plan.after()), [5, 6, 3, 2]);
}

#[test]
fn who_left_holds_what_it_held_until_there_is_a_budget() {
    let map = SlotMap::new(&nodes(&["a", "b"]), Config::new(xxh3()).slots(10)).unwrap();
    let later = nodes(&["b", "c"]);
    let plan = map.rebalanced(&later, 3).unwrap();
    let after = plan.after();
    assert_eq!(owned(after), [2, 5, 3]);
    let gone = after.membership().get("a").unwrap();
    assert_eq!(after.membership().state(gone), State::Down);
    assert_eq!(plan.remaining(), 2);
    let last = bold(after, &later);
    assert!(last.membership().get("a").is_none());
    assert_eq!(owned(&last), [5, 5]);
}

#[test]
fn a_plan_is_for_one_map_alone() {
    let config = Config::new(xxh3());
    let map = SlotMap::new(&nodes(&["a", "b"]), config).unwrap();
    let plan = map.rebalanced(&nodes(&["a", "b", "c"]), u64::MAX).unwrap();
    let next = map.apply(&plan).unwrap();
    assert_eq!(&next, plan.after());
    let other_epoch = ApplyError::OtherEpoch {
        planned: 1,
        found: 2,
    };
    assert_eq!(next.apply(&plan), Err(other_epoch));
    let other = SlotMap::new(&nodes(&["a", "d"]), config).unwrap();
    assert_eq!(other.apply(&plan), Err(ApplyError::OtherMap { epoch: 1 }));
    let fewer = SlotMap::new(&nodes(&["a"]), config.slots(5)).unwrap();
    assert_eq!(map.diff(&fewer), Err(SlotMapError::Incomparable));
}

#[test]
fn a_copy_that_becomes_the_owners_costs_nothing() {
    let config = Config::new(xxh3()).slots(600).copies(2, Shortage::Strict);
    let members = racked(6);
    let map = SlotMap::new(&members, config).unwrap();
    let down = members.marked("n00", State::Down).unwrap();
    // Of its 100 slots each of the other five is to have 20. n03 is in its zone
    // and so has no copy of them.
    let plan = map.rebalanced(&down, 0).unwrap();
    assert_eq!(plan.diff().transfers(), 0);
    assert_eq!(plan.remaining(), 20);
    assert_eq!(owned(plan.after()), [20, 120, 120, 100, 120, 120]);
    let plan = plan.after().rebalanced(&down, 20).unwrap();
    assert_eq!(owned(plan.after()), [0, 120, 120, 120, 120, 120]);
}

#[test]
fn a_move_with_copies_is_one_transfer_each() {
    let config = Config::new(xxh3()).slots(960).copies(2, Shortage::Strict);
    let map = SlotMap::new(&racked(9), config).unwrap();
    let more = racked(12);
    let least = least(&map, &more);
    let plan = map.rebalanced(&more, least).unwrap();
    assert_eq!((plan.remaining(), plan.diff().transfers()), (0, least));
    assert_eq!(plan.after().spreading(), Spreading::Zones);
    // What is left of the work is to level the copies.
    let levelled = bold(plan.after(), &more);
    let copies: Vec<_> = levelled.counts().map(|(_, held)| held.copies).collect();
    assert_eq!(copies, [160; 12]);
}

proptest! {
    #[test]
    fn shares_are_exact_and_moves_the_fewest(
        from in membership(),
        to in membership(),
        slots in 1..200u32,
    ) {
        let map = SlotMap::new(&from, Config::new(xxh3()).slots(slots)).unwrap();
        let positive = |fair: BTreeMap<Vec<u8>, u64>| -> BTreeMap<_, _> {
            fair.into_iter().filter(|(_, fair)| *fair > 0).collect()
        };
        prop_assert_eq!(owned_by_id(&map), positive(fair(&from, slots)));
        let plan = map.rebalanced(&to, u64::MAX).unwrap();
        prop_assert_eq!(owned_by_id(plan.after()), positive(fair(&to, slots)));
        prop_assert_eq!(plan.diff().transfers(), least(&map, &to));
        prop_assert_eq!(new_owners(&plan).len() as u64, least(&map, &to));
        prop_assert_eq!(moved(held(&map), &plan), held(plan.after()));
        // Each share differs by less than one slot from what is exact.
        let total: u64 = to.eligible().map(|m| u64::from(m.weight())).sum();
        for m in to.eligible() {
            let owned = *owned_by_id(plan.after()).get(m.id()).unwrap_or(&0);
            let exact = u64::from(slots) * u64::from(m.weight());
            prop_assert!((owned * total).abs_diff(exact) < total);
        }
    }
}

proptest! {
    // Each case is dozens of plans.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn under_any_budgets_it_comes_to_an_end_and_no_slot_moves_twice(
        from in membership(),
        to in membership(),
        slots in 1..100u32,
        copies in 0..4u8,
        budgets in proptest::collection::vec(0..20u64, 1..8),
    ) {
        let config = Config::new(xxh3()).slots(slots).copies(copies, Shortage::BestEffort);
        let mut map = SlotMap::new(&from, config).unwrap();
        let needed = least(&map, &to);
        let mut changed = vec![false; slots as usize];
        let mut changes = 0;
        let mut budgets = budgets.into_iter().chain(std::iter::repeat(5));
        for turn in 0.. {
            prop_assert!(turn < 1000);
            let budget = budgets.next().unwrap();
            let before = least(&map, &to);
            let plan = map.rebalanced(&to, budget).unwrap();
            prop_assert!(plan.diff().transfers() <= budget);
            prop_assert_eq!(moved(held(&map), &plan), held(plan.after()));
            for slot in new_owners(&plan) {
                prop_assert!(!std::mem::replace(&mut changed[slot as usize], true));
                changes += 1;
            }
            map = map.apply(&plan).unwrap();
            prop_assert_eq!(plan.remaining(), least(&map, &to));
            // Owners come first, so what is left of the budget had no use.
            prop_assert!(plan.remaining() <= before.saturating_sub(budget));
            if plan.diff().is_empty() && budget > 0 {
                break;
            }
        }
        prop_assert_eq!(changes, needed);
        prop_assert_eq!(least(&map, &to), 0);
        prop_assert!(bold(&map, &to).diff(&map).unwrap().is_empty());
        prop_assert_eq!(map.membership().members().len(), to.members().len());
    }

    #[test]
    fn copies_are_spread_as_far_as_there_are_zones_racks_and_nodes(
        from in membership(),
        to in membership(),
        copies in 0..5u8,
    ) {
        let config = Config::new(xxh3()).slots(60).copies(copies, Shortage::BestEffort);
        let first = SlotMap::new(&from, config).unwrap();
        let later = bold(&first, &to);
        for (map, members) in [(first, from), (later, to)] {
            let count = |distinct: &mut Vec<(String, String)>| {
                distinct.sort();
                distinct.dedup();
                distinct.len()
            };
            let zone = |m: &axiomatic_placement::consistent_hash::Member| (m.zone().to_owned(), String::new());
            let rack = |m: &axiomatic_placement::consistent_hash::Member| (m.zone().to_owned(), m.rack().to_owned());
            let wanted = 1 + usize::from(copies);
            let zones = count(&mut members.eligible().map(zone).collect()).min(wanted);
            let racks = count(&mut members.eligible().map(rack).collect()).min(wanted);
            let nodes = members.eligible().count().min(wanted);
            for slot in 0..60 {
                let eligible = |id: &[u8]| members.get(id).is_some_and(|m| members.is_eligible(m));
                let holders: Vec<_> = map.holders(slot).filter(|m| eligible(m.id())).collect();
                let mut ids: Vec<_> = holders.iter().map(|m| m.id()).collect();
                ids.sort_unstable();
                ids.dedup();
                prop_assert_eq!(ids.len(), holders.len());
                prop_assert_eq!(ids.len(), nodes);
                prop_assert_eq!(count(&mut holders.iter().map(|m| zone(m)).collect()), zones);
                prop_assert_eq!(count(&mut holders.iter().map(|m| rack(m)).collect()), racks);
            }
        }
    }
}
