use std::collections::BTreeMap;

use axiomatic_placement::consistent_hash::{Node, State};
use axiomatic_placement::shuffle_shard::{Config, Lattice, OverlapReport, ShuffleShard};

use super::{customers, grid, membership, nodes, single_cell, z, zone_and_version};

fn z_of(report: &OverlapReport) -> f64 {
    let pairs = report.pairs() as f64;
    let expected = report.expected().unwrap().iter().map(|share| share * pairs);
    z(report.counts(), &expected.collect::<Vec<_>>())
}

#[test]
fn as_many_pairs_share_nodes_as_chance_would_have_it() {
    for (count, per_cell) in [(8, 2), (10, 7), (30, 5), (100, 5)] {
        let report = single_cell(count, per_cell).overlaps(customers(2000));
        let z = z_of(&report);
        assert!(z.abs() < 4.0, "{count} {per_cell}: {z}\n{report}");
        assert_eq!(report.pairs(), 2000 * 1999 / 2);
    }
    let zones = ShuffleShard::new(&membership(nodes(31, 3)), Config::new(2)).unwrap();
    let report = zones.overlaps(customers(2000));
    assert_eq!(report.counts().len(), 7);
    let z = z_of(&report);
    assert!(z.abs() < 4.0, "{z}\n{report}");
}

#[test]
fn a_sample_shares_as_much_as_all() {
    let shards = single_cell(30, 5);
    let report = shards.overlaps_sampled(customers(20_000), 20_000, 1);
    assert_eq!((report.pairs(), report.is_exact()), (20_000, false));
    let z = z_of(&report);
    assert!(z.abs() < 4.0, "{z}\n{report}");
    let again = shards.overlaps_sampled(customers(20_000), 20_000, 1);
    assert_eq!(report.counts(), again.counts());
    let other = shards.overlaps_sampled(customers(20_000), 20_000, 2);
    assert_ne!(report.counts(), other.counts());
    // There is no pair of one, and none of somebody with itself.
    assert_eq!(shards.overlaps_sampled([1], 10, 1).pairs(), 0);
    let two = shards.overlaps_sampled([1, 2], 10, 1);
    assert_eq!(two.counts()[shards.shard(1).overlap(&shards.shard(2))], 10);
}

/// With fewer nodes up than a shard is to have, shards are of several sizes.
#[test]
fn overlaps_are_counted_as_if_one_by_one() {
    let mut grid = grid(3, "ab", 1);
    grid.push(Node::new("b9").in_zone("z2").weighing(3));
    let config = Config::new(1).across(zone_and_version());
    let shards = ShuffleShard::new(&membership(grid), config).unwrap();
    let down = shards.membership().marked("a00", State::Down).unwrap();
    for shards in [
        single_cell(9, 3),
        shards.clone(),
        shards.over(&down).unwrap(),
    ] {
        let customers: Vec<u64> = customers(200).collect();
        let twice = customers.iter().chain(&customers).copied();
        let report = shards.overlaps(twice);
        let mut counts = vec![0; shards.shard_size() + 1];
        let mut victims: BTreeMap<u64, u64> = BTreeMap::new();
        let each: Vec<_> = customers.iter().map(|c| (*c, shards.shard(*c))).collect();
        for (one, shard) in &each {
            for (_, theirs) in each.iter().filter(|(other, _)| other != one) {
                let overlap = shard.overlap(theirs);
                counts[overlap] += 1;
                *victims.entry(*one).or_default() += u64::from(overlap == theirs.len());
            }
        }
        counts.iter_mut().for_each(|count| *count /= 2);
        assert_eq!(report.counts(), counts);
        assert_eq!(report.customers(), 200);
        let most = counts.iter().rposition(|count| *count > 0).unwrap();
        let worst = report.worst().unwrap();
        assert_eq!(worst.overlap, most);
        let (one, other) = worst.customers;
        assert_eq!(shards.shard(one).overlap(&shards.shard(other)), most);
        let blast = report.worst_blast().unwrap();
        assert_eq!(blast.victims, *victims.values().max().unwrap());
        assert_eq!(blast.victims, victims[&blast.customer]);
        let mean = victims.values().sum::<u64>() as f64 / (200.0 * 199.0);
        assert!((report.blast_radius() - mean).abs() < 1e-12);
    }
}

#[test]
fn there_is_no_theory_where_chance_is_not_alone() {
    let weighty = nodes(9, 1)
        .enumerate()
        .map(|(n, node)| node.weighing(1 + n as u32));
    let weighty = ShuffleShard::new(&membership(weighty), Config::new(2)).unwrap();
    assert!(weighty.overlaps(customers(9)).expected().is_none());
    let config = Config::new(1).across(zone_and_version());
    let two = ShuffleShard::new(&membership(grid(3, "ab", 2)), config).unwrap();
    let report = two.overlaps(customers(9));
    assert!(report.expected().is_none());
    assert!(report.to_string().contains("%          -\n"));
}

/// Of nodes that are up.
#[test]
fn the_theory_is_that_of_right_now() {
    let shards = single_cell(9, 3);
    let down = shards.membership().marked("n1", State::Down).unwrap();
    let (whole, less) = (shards.clone(), shards.over(&down).unwrap());
    let share = |shards: &ShuffleShard| shards.overlaps([]).expected().unwrap()[3];
    assert!((share(&whole) - 1.0 / 84.0).abs() < 1e-12);
    assert!((share(&less) - 1.0 / 56.0).abs() < 1e-12);
    let z = z_of(&less.overlaps(customers(2000)));
    assert!(z.abs() < 4.0, "{z}");
}

#[test]
fn the_report_is_a_small_table() {
    let config = Config::new(2).across(Lattice::single_cell());
    let shards = ShuffleShard::new(&membership(nodes(8, 2)), config).unwrap();
    let report = shards.overlaps(customers(1000)).to_string();
    let rows: Vec<&str> = report.lines().collect();
    assert_eq!(
        rows[0],
        "2 of 8 nodes in 1 cell, 1000 customers, all 499500 pairs"
    );
    let width = |row: &&str| row.len();
    assert!(
        rows[1..5].iter().map(width).all(|w| w == rows[1].len()),
        "{report}"
    );
    assert!(
        rows[2].ends_with("53.571 %") && rows[4].ends_with("3.571 %"),
        "{report}"
    );
    assert!(rows[5].starts_with("worst pair 0x") && rows.len() == 6);

    let nobody = shards.overlaps([]);
    assert_eq!(
        (nobody.pairs(), nobody.share(0), nobody.blast_radius()),
        (0, 0.0, 0.0)
    );
    assert!(nobody.to_string().contains("no two share a node"));
}
