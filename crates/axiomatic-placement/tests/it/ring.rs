//! What holds for rings of every format.

use std::collections::HashSet;

use axiomatic_core::hash::mix;
use axiomatic_placement::consistent_hash::{
    Format, Member, Membership, Node, Placement, PlacementError, Ring, State,
};
use proptest::prelude::*;

const BIG_ENVOY: Format = Format::Envoy {
    least: 160_000,
    most: 8 << 20,
};

fn formats() -> Vec<Format> {
    vec![
        #[cfg(feature = "ketama")]
        Format::Libketama,
        #[cfg(feature = "nginx")]
        Format::Nginx,
        Format::ENVOY,
        Format::Haproxy,
    ]
}

/// Those whose points depend on nothing but their own node.
fn independent() -> Vec<Format> {
    let mut formats = formats();
    formats.retain(|format| !matches!(format, Format::Envoy { .. }));
    #[cfg(feature = "ketama")]
    formats.retain(|format| *format != Format::Libketama);
    formats
}

/// Nodes with identities that every format takes.
fn membership(weights: &[u32]) -> Membership {
    let nodes = (1..).zip(weights);
    let nodes = nodes.map(|(id, weight)| Node::new(id.to_string()).weighing(*weight));
    Membership::new(1, nodes).expect("nodes")
}

fn ring(membership: &Membership, format: Format) -> Ring {
    Ring::new(membership, format).expect("points")
}

fn hashes(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(mix)
}

/// hashring 0.3.6 gives a node several times, or fewer than were asked for.
#[test]
fn candidates_are_all_who_may_own_keys_once_the_owner_first() {
    for format in formats() {
        // Within the bits held inline, and beyond.
        for nodes in [1, 2, 7, 256, 300] {
            let all = membership(&vec![1; nodes]);
            let some = all.with_states(|member| match mix(member.index() as u64) % 3 {
                0 if nodes > 1 => State::Down,
                _ => State::Up,
            });
            for membership in [all, some] {
                let ring = ring(&membership, format);
                for hash in hashes(20) {
                    let order: Vec<_> = ring.candidates(hash).map(Member::index).collect();
                    let distinct: HashSet<_> = order.iter().copied().collect();
                    assert_eq!(order[0], ring.owner(hash).index());
                    assert_eq!(distinct.len(), order.len());
                    assert_eq!(order.len(), membership.eligible().count());
                    assert!(membership.eligible().all(|m| distinct.contains(&m.index())));
                    assert_eq!(ring.candidates(hash).size_hint().0, order.len());
                }
            }
        }
    }
}

/// As it does in maglev-hash, and in rings where it decides between equal
/// points.
#[test]
fn the_order_in_which_nodes_are_listed_decides_nothing() {
    for format in formats() {
        let nodes = |order: &mut dyn Iterator<Item = u32>| {
            let nodes = order.map(|id| Node::new(id.to_string()).weighing(1 + id % 3));
            ring(&Membership::new(1, nodes).expect("nodes"), format)
        };
        let (forth, back) = (nodes(&mut (1..300)), nodes(&mut (1..300).rev()));
        assert!(forth.points().eq(back.points()));
        for hash in hashes(1000) {
            assert_eq!(forth.owner(hash), back.owner(hash));
        }
    }
}

#[test]
fn with_haproxy_a_key_is_the_nearest_points_and_midway_the_one_befores() {
    let ring = ring(&membership(&[3; 20]), Format::Haproxy);
    let points: Vec<_> = ring.points().collect();
    let mut midways = 0;
    for two in points.windows(2).filter(|two| two[0].1 != two[1].1) {
        let [(before, first), (after, second)] = [two[0], two[1]];
        let midway = before + (after - before) / 2;
        assert_eq!(ring.owner(midway), first);
        assert_eq!(ring.owner(midway + 1), second);
        midways += usize::from((after - before) % 2 == 0);
    }
    assert!(midways > 100, "{midways}");
    // Round the end of the circle.
    let (first, last) = (points[0], points[points.len() - 1]);
    let gap = first.0 + (1 << 32) - last.0;
    for at in (0..gap).step_by(gap as usize / 50) {
        let nearest = if at <= gap - at { last.1 } else { first.1 };
        assert_eq!(ring.owner((last.0 + at) % (1 << 32)), nearest);
    }
}

/// CRC32 has 32 bits, so among 320,000 points some are equal: the defect of
/// pekko#3279, where one of them was lost, which one being chance.
#[cfg(feature = "nginx")]
#[test]
fn of_two_equal_points_the_lesser_identity_counts_and_the_other_is_next() {
    let ring = ring(&membership(&[1; 2000]), Format::Nginx);
    let points: Vec<_> = ring.points().collect();
    let mut equal = 0;
    for two in points.windows(2).filter(|two| two[0].0 == two[1].0) {
        let (hash, [first, second]) = (two[0].0, [two[0].1, two[1].1]);
        equal += 1;
        assert!(first.id() < second.id());
        assert_eq!(ring.owner(hash), first);
        assert_eq!(ring.candidates(hash).nth(1), Some(second));
        let down = ring.membership().marked(first.id(), State::Down);
        let down = ring.over(&down.expect("a node")).expect("points");
        assert_eq!(down.owner(hash), second);
    }
    assert!(equal > 3, "{equal}");
}

/// pingora-ketama keeps an index in 16 bits: of 70,000 nodes, 4464 get the
/// keys of others.
#[test]
fn seventy_thousand_nodes_are_seventy_thousand() {
    let format = Format::Envoy {
        least: 70_000,
        most: 70_000,
    };
    let ring = ring(&membership(&vec![1; 70_000]), format);
    let with_points: HashSet<_> = ring.points().map(|(_, node)| node.index()).collect();
    assert_eq!(with_points.len(), 70_000);
    for (hash, node) in ring.points().step_by(7) {
        assert_eq!(ring.owner(hash), node);
    }
    let order = ring.candidates(mix(1)).take(3).map(Member::index);
    assert_eq!(order.collect::<HashSet<_>>().len(), 3);
}

#[test]
fn a_node_without_points_owns_nothing_and_is_still_the_last_resort() {
    let formats = vec![
        Format::Envoy { least: 4, most: 4 },
        #[cfg(feature = "ketama")]
        Format::Libketama,
    ];
    for format in formats {
        let membership = membership(&[1_000_000, 1]);
        let both = ring(&membership, format);
        assert!(
            both.points().all(|(_, node)| node.id() == b"1"),
            "{format:?}"
        );
        for hash in hashes(100) {
            let order: Vec<_> = both.candidates(hash).map(Member::id).collect();
            assert_eq!(order.len(), 2);
        }
        let down = membership.marked("1", State::Down).expect("a node");
        let left = both.over(&down).expect("the same points");
        assert!(hashes(100).all(|hash| left.owner(hash).id() == b"2"));
        assert!(hashes(100).all(|hash| left.candidates(hash).count() == 1));
    }
}

#[test]
fn what_a_format_cannot_say_is_refused() {
    let nodes = |id: &str, weight| {
        let nodes = [Node::new(id).weighing(weight)];
        Membership::new(1, nodes).expect("a node")
    };
    for id in [
        "a",
        "0",
        "01",
        "+1",
        "1048576",
        "99999999999999999999",
        "1 ",
    ] {
        let error = Ring::new(&nodes(id, 1), Format::Haproxy).expect_err(id);
        assert!(
            matches!(error, PlacementError::Malformed { .. }),
            "{id}: {error}"
        );
    }
    assert!(Ring::new(&nodes("1048575", 256), Format::Haproxy).is_ok());
    let error = Ring::new(&nodes("1", 257), Format::Haproxy).expect_err("heavy");
    assert!(matches!(error, PlacementError::TooHeavy { most: 256, .. }));

    let envoy = |least, most| Ring::new(&nodes("a", 1), Format::Envoy { least, most });
    assert_eq!(envoy(0, 7).err(), Some(PlacementError::NoPoints));
    // "ring hash: minimum_ring_size (20) > maximum_ring_size (10)"
    let error = PlacementError::TooManyPoints {
        points: 20,
        most: 10,
    };
    assert_eq!(envoy(20, 10).err(), Some(error));
    assert!(envoy(1, (8 << 20) + 1).is_err());
    assert_eq!(envoy(1, 8 << 20).map(|ring| ring.points().len()), Ok(1));

    #[cfg(feature = "nginx")]
    {
        let error = Ring::new(&nodes("a", u32::MAX), Format::Nginx).expect_err("heavy");
        let points = u64::from(u32::MAX) * 160;
        let most = Ring::MAX_POINTS;
        assert_eq!(error, PlacementError::TooManyPoints { points, most });
    }
}

/// Greatest over mean as measured of pingora-ketama, which has 160 points a
/// node, too, and a tenth. 1000 keys a node are noise enough for 1.10 of 1000
/// nodes that have equal shares.
#[test]
fn the_fullest_node_has_what_is_published_for_rings() {
    let formats = vec![
        (BIG_ENVOY, 1),
        (Format::Haproxy, 10),
        #[cfg(feature = "ketama")]
        (Format::Libketama, 1),
        #[cfg(feature = "nginx")]
        (Format::Nginx, 1),
    ];
    for (format, weight) in formats {
        for (nodes, published) in [(10, 1.17), (100, 1.27), (1000, 1.29)] {
            let format = match format {
                Format::Envoy { most, .. } => Format::Envoy {
                    least: 160 * nodes,
                    most,
                },
                format => format,
            };
            let ring = ring(&membership(&vec![weight; nodes as usize]), format);
            let mut keys = vec![0u32; nodes as usize];
            hashes(1000 * u64::from(nodes)).for_each(|hash| keys[ring.owner(hash).index()] += 1);
            let most = f64::from(*keys.iter().max().expect("nodes")) / 1000.0;
            assert!(most < published * 1.1, "{format:?}, {nodes}: {most}");
        }
    }
}

/// How many keys of a hundred thousand moved between two nodes that are in
/// both rings, apart from the one that changed.
fn strays(before: &Ring, after: &Ring, changed: &str) -> usize {
    let strays = hashes(100_000).filter(|hash| {
        let owners = [before.owner(*hash).id(), after.owner(*hash).id()];
        owners[0] != owners[1] && !owners.contains(&changed.as_bytes())
    });
    strays.count()
}

#[cfg(feature = "ketama")]
#[test]
fn with_libketama_equal_nodes_come_and_go_and_no_other_keys_move() {
    for nodes in [1, 2, 9, 50, 333] {
        let few = ring(&membership(&vec![1; nodes]), Format::Libketama);
        let more = ring(&membership(&vec![1; nodes + 1]), Format::Libketama);
        assert_eq!(strays(&few, &more, &(nodes + 1).to_string()), 0, "{nodes}");
    }
    // One of the numbers that its rounding does not like: 156 points each.
    let many = ring(&membership(&[1; 61]), Format::Libketama);
    assert_eq!(many.points().len(), 61 * 156);
}

/// Measured: 2.5 % with libketama and 1.8 % with Envoy, beside the 1.9 % that
/// have to move when one weight of fifty doubles.
#[test]
fn with_fractional_points_a_weight_that_doubles_moves_few_keys_of_others() {
    let formats = vec![
        BIG_ENVOY,
        #[cfg(feature = "ketama")]
        Format::Libketama,
    ];
    for format in formats {
        let mut weights = [10; 50];
        let before = ring(&membership(&weights), format);
        weights[6] = 20;
        let after = ring(&membership(&weights), format);
        let strays = strays(&before, &after, "7");
        assert!((1..=3000).contains(&strays), "{format:?}: {strays}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn only_keys_of_the_changed_node_move(
        weights in prop::collection::vec(0u32..5, 2..12),
        changed in any::<prop::sample::Index>(),
        weight in 0u32..5,
        keys in prop::collection::vec(any::<u64>(), 200),
    ) {
        let changed = changed.index(weights.len());
        let mut others = weights.clone();
        others[changed] = weight;
        prop_assume!([&weights, &others].iter().all(|w| w.iter().any(|w| *w > 0)));
        let id = (changed + 1).to_string();
        for format in independent() {
            let before = ring(&membership(&weights), format);
            let after = ring(&membership(&others), format);
            for hash in &keys {
                let (from, to) = (before.owner(*hash).id(), after.owner(*hash).id());
                prop_assert!(from == to || [from, to].contains(&id.as_bytes()));
            }
        }
    }

    #[test]
    fn a_node_that_is_down_loses_its_own_keys_and_gets_them_back(
        weights in prop::collection::vec(1u32..5, 2..12),
        down in prop::collection::vec(any::<bool>(), 12),
        keys in prop::collection::vec(any::<u64>(), 200),
    ) {
        let whole = membership(&weights);
        let is_down = |index: usize| down[index];
        prop_assume!((0..weights.len()).any(|index| !is_down(index)));
        let partial = whole.with_states(|member| {
            if is_down(member.index()) { State::Down } else { State::Up }
        });
        for format in formats() {
            let before = ring(&whole, format);
            let during = before.over(&partial).expect("the same points");
            let after = during.over(&whole).expect("the same points");
            for hash in &keys {
                let owner = before.owner(*hash);
                prop_assert_eq!(owner, after.owner(*hash));
                let now = during.owner(*hash);
                if !is_down(owner.index()) {
                    prop_assert_eq!(owner, now);
                } else if format != Format::Haproxy {
                    let mut order = before.candidates(*hash);
                    prop_assert_eq!(order.find(|m| !is_down(m.index())), Some(now));
                }
            }
        }
        // Where points are a node's own it is as if it were not there.
        let mut without = weights.clone();
        let downs = without.iter_mut().enumerate().filter(|(index, _)| {
            whole.get((index + 1).to_string()).is_some_and(|m| is_down(m.index()))
        });
        downs.for_each(|(_, weight)| *weight = 0);
        for format in independent() {
            let during = ring(&partial, format);
            let gone = ring(&membership(&without), format);
            for hash in &keys {
                prop_assert_eq!(during.owner(*hash).id(), gone.owner(*hash).id());
            }
        }
    }

    /// Whatever happens to a node behind the first three, these stay.
    #[test]
    fn who_is_not_among_the_first_candidates_does_not_change_them(
        weights in prop::collection::vec(1u32..5, 4..12),
        hash in any::<u64>(),
    ) {
        for format in independent() {
            let ring = ring(&membership(&weights), format);
            let order: Vec<_> = ring.candidates(hash).map(|m| m.id().to_vec()).collect();
            for gone in &order[3..] {
                let down = ring.membership().marked(gone, State::Down).expect("a node");
                let left = ring.over(&down).expect("the same points");
                let firsts: Vec<_> = left.candidates(hash).take(3).map(|m| m.id().to_vec()).collect();
                prop_assert_eq!(&firsts, &order[..3]);
            }
        }
    }
}
