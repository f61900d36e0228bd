//! Shards: who has which, and how many nodes any two share.

mod laws;
mod overlaps;
mod registry;
mod shards;

use axiomatic_core::hash::mix;
use axiomatic_placement::consistent_hash::{Membership, Node};
use axiomatic_placement::shuffle_shard::{Config, Lattice, Shard, ShuffleShard};

/// So many nodes, spread over zones and versions in turn: "n7" is in zone
/// "z1" of 3, and runs "v1" of 2.
fn nodes(count: usize, zones: usize) -> impl Iterator<Item = Node> {
    (0..count).map(move |n| Node::new(format!("n{n}")).in_zone(format!("z{}", n % zones)))
}

fn membership(nodes: impl IntoIterator<Item = Node>) -> Membership {
    Membership::new(1, nodes).unwrap()
}

fn single_cell(count: usize, per_cell: usize) -> ShuffleShard {
    let config = Config::new(per_cell).across(Lattice::single_cell());
    ShuffleShard::new(&membership(nodes(count, 1)), config).unwrap()
}

/// By zone, and by the first byte of the identity.
fn zone_and_version() -> Lattice {
    Lattice::by_zone().and(version)
}

fn version(node: &Node) -> String {
    char::from(node.id()[0]).to_string()
}

/// A node of each version in each zone, so many times: "a0", in zone "z0".
fn grid(zones: usize, versions: &str, times: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for zone in 0..zones {
        for version in versions.chars() {
            for time in 0..times {
                let name = format!("{version}{zone}{time}");
                nodes.push(Node::new(name).in_zone(format!("z{zone}")));
            }
        }
    }
    nodes
}

fn ids(shard: &Shard<'_>) -> Vec<String> {
    let ids = shard.nodes().map(|node| node.id().to_vec());
    ids.map(|id| String::from_utf8(id).unwrap()).collect()
}

/// Hashes of so many customers.
fn customers(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(mix)
}

/// How far the counts are from what is expected, in standard deviations of
/// chi-square. What is expected fewer than ten times is counted with the
/// next.
fn z(counts: &[u64], expected: &[f64]) -> f64 {
    let mut bins = Vec::new();
    let mut bin = (0.0, 0.0);
    for (count, expected) in counts.iter().zip(expected) {
        bin = (bin.0 + *count as f64, bin.1 + expected);
        if bin.1 >= 10.0 {
            bins.push(std::mem::take(&mut bin));
        }
    }
    let last = bins.last_mut().expect("something is expected");
    *last = (last.0 + bin.0, last.1 + bin.1);
    let squares = bins.iter().map(|(is, ought)| (is - ought).powi(2) / ought);
    let freedom = bins.len() as f64 - 1.0;
    (squares.sum::<f64>() - freedom) / (2.0 * freedom).sqrt()
}
