use std::fmt;

use axiomatic_core::hash::mix;

use super::shard::Indices;

/// Which nodes customers have in common, two by two, beside what chance alone
/// would give. A report, to look at before customers are moved in: nothing
/// decides by it.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Membership, Node};
/// use axiomatic_placement::shuffle_shard::{Config, ShuffleShard};
/// # use axiomatic_core::hash::mix;
///
/// let nodes = (0..100).map(|n| Node::new(format!("n{n}")));
/// let shards = ShuffleShard::new(&Membership::new(1, nodes)?, Config::new(5))?;
/// let report = shards.overlaps((0..1000).map(mix));
/// println!("{report}");
///
/// // More than three in four pairs of customers share no node.
/// assert!(report.share(0) > 0.75);
/// assert_eq!(report.pairs(), 1000 * 999 / 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OverlapReport {
    customers: u64,
    counts: Vec<u64>,
    theory: Theory,
    worst: Option<WorstPair>,
    /// How often a customer has no node but another's, both ways round.
    lost: u64,
    worst_blast: Option<Blast>,
    is_exact: bool,
}

/// The two customers who share the most.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorstPair {
    /// Both of them.
    pub customers: (u64, u64),
    /// How many nodes they share.
    pub overlap: usize,
}

/// What a customer takes with it when all its nodes are gone.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blast {
    /// The customer.
    pub customer: u64,
    /// How many others have no node left.
    pub victims: u64,
}

/// What shards there are, and what chance does with them.
#[derive(Clone, Debug)]
pub(super) struct Theory {
    pub(super) nodes: usize,
    pub(super) cells: usize,
    pub(super) shard_size: usize,
    /// The share of pairs that have 0, 1, … nodes in common.
    pub(super) shares: Option<Vec<f64>>,
}

impl OverlapReport {
    pub(super) fn of_all(shards: impl Iterator<Item = (u64, Indices)>, theory: Theory) -> Self {
        let shards = sorted(shards);
        let mut report = OverlapReport::empty(shards.len(), theory, true);
        let nodes = shards.iter().flat_map(|(_, shard)| shard).max();
        let mut customers = vec![Vec::new(); nodes.map_or(0, |most| *most as usize + 1)];
        let mut victims = vec![0u64; shards.len()];
        // How many nodes each earlier customer shares with this one, and who
        // shares any.
        let mut shared = vec![0usize; shards.len()];
        let mut sharing = Vec::new();
        for (this, (_, shard)) in shards.iter().enumerate() {
            for index in shard {
                let here: &mut Vec<usize> = &mut customers[*index as usize];
                for other in &*here {
                    if shared[*other] == 0 {
                        sharing.push(*other);
                    }
                    shared[*other] += 1;
                }
                here.push(this);
            }
            report.count(0, (this - sharing.len()) as u64);
            for other in sharing.drain(..) {
                let overlap = std::mem::take(&mut shared[other]);
                report.count(overlap, 1);
                report.meet(&shards[other], &shards[this], overlap);
                victims[this] += u64::from(overlap == shards[other].1.len());
                victims[other] += u64::from(overlap == shard.len());
            }
        }
        report.lost = victims.iter().sum();
        let blasts = shards.iter().zip(victims);
        report.worst_blast = blasts
            .map(|((customer, _), victims)| Blast {
                customer: *customer,
                victims,
            })
            .max_by_key(|blast| blast.victims);
        report
    }

    pub(super) fn of_sample(
        shards: impl Iterator<Item = (u64, Indices)>,
        pairs: u64,
        seed: u64,
        theory: Theory,
    ) -> Self {
        let shards = sorted(shards);
        let mut report = OverlapReport::empty(shards.len(), theory, false);
        if shards.len() < 2 {
            return report;
        }
        let mut state = mix(seed);
        let mut below = |limit: usize| {
            state = state.wrapping_add(1);
            ((u128::from(mix(state)) * limit as u128) >> 64) as usize
        };
        for _ in 0..pairs {
            let (one, mut other) = (below(shards.len()), below(shards.len() - 1));
            other += usize::from(other >= one);
            let (one, other) = (&shards[one], &shards[other]);
            let overlap = one.1.iter().filter(|i| other.1.contains(i)).count();
            report.count(overlap, 1);
            if overlap > 0 {
                report.meet(one, other, overlap);
                report.lost += u64::from(overlap == one.1.len());
                report.lost += u64::from(overlap == other.1.len());
            }
        }
        report
    }

    fn empty(customers: usize, theory: Theory, is_exact: bool) -> Self {
        OverlapReport {
            customers: customers as u64,
            counts: vec![0; theory.shard_size.min(theory.nodes) + 1],
            theory,
            worst: None,
            lost: 0,
            worst_blast: None,
            is_exact,
        }
    }

    fn count(&mut self, overlap: usize, pairs: u64) {
        self.counts[overlap] += pairs;
    }

    fn meet(&mut self, one: &(u64, Indices), other: &(u64, Indices), overlap: usize) {
        if self.worst.is_none_or(|worst| worst.overlap < overlap) {
            let customers = (one.0.min(other.0), one.0.max(other.0));
            self.worst = Some(WorstPair { customers, overlap });
        }
    }

    /// How many customers there are.
    pub fn customers(&self) -> u64 {
        self.customers
    }

    /// How many pairs of them were looked at.
    pub fn pairs(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether these were all pairs, rather than a sample.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// How many pairs share 0, 1, … nodes, up to the size of a shard,
    /// or to all nodes if these are fewer.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The share of pairs that have so many nodes in common, from 0 to 1.
    pub fn share(&self, overlap: usize) -> f64 {
        let pairs = self.counts.get(overlap).copied().unwrap_or(0);
        part(pairs as f64, self.pairs() as f64)
    }

    /// The same where chance alone decides: of one cell of n nodes, of whom
    /// each has k, C(k, j) C(n-k, k-j) / C(n, k) for j nodes, the
    /// hypergeometric distribution. Of more cells the sum of one such number
    /// each. There is none for lattices of two dimensions and more, nor where
    /// nodes of a cell differ in weight.
    ///
    /// In floating point, right to some 1e-12 of each.
    pub fn expected(&self) -> Option<&[f64]> {
        self.theory.shares.as_deref()
    }

    /// The two who share the most, unless no two share any.
    pub fn worst(&self) -> Option<WorstPair> {
        self.worst
    }

    /// When all nodes of a customer are gone, the share of the others that
    /// have no node left, from 0 to 1: the mean.
    pub fn blast_radius(&self) -> f64 {
        part(self.lost as f64, 2.0 * self.pairs() as f64)
    }

    /// The customer that takes the most others with it. A sample does not
    /// tell.
    pub fn worst_blast(&self) -> Option<Blast> {
        self.worst_blast
    }
}

/// By customer, each once.
fn sorted(shards: impl Iterator<Item = (u64, Indices)>) -> Vec<(u64, Indices)> {
    let mut shards: Vec<_> = shards.collect();
    shards.sort_unstable_by_key(|(customer, _)| *customer);
    shards.dedup_by_key(|(customer, _)| *customer);
    shards
}

fn part(of: f64, whole: f64) -> f64 {
    if whole > 0.0 { of / whole } else { 0.0 }
}

/// The distribution of the overlap of two shards that have `per_cell` nodes,
/// or all there are, of each cell of these sizes.
pub(super) fn expected(cells: &[usize], per_cell: usize) -> Vec<f64> {
    let mut shares = vec![1.0];
    for nodes in cells {
        let of_cell = hypergeometric(*nodes, per_cell.min(*nodes));
        let mut sums = vec![0.0; shares.len() + of_cell.len() - 1];
        for (i, one) in shares.iter().enumerate() {
            for (j, other) in of_cell.iter().enumerate() {
                sums[i + j] += one * other;
            }
        }
        shares = sums;
    }
    shares
}

/// C(k, j) C(n-k, k-j) / C(n, k) for j = 0 … k: by the ratio of each to its
/// neighbour, from the likeliest one on, so that nothing overflows.
fn hypergeometric(n: usize, k: usize) -> Vec<f64> {
    let ratio = |j: usize| {
        let left = (k - j) as f64;
        left * left / ((j + 1) as f64 * ((n + j + 1) as f64 - 2.0 * k as f64))
    };
    let least = (2 * k).saturating_sub(n);
    let likeliest = ((k + 1) as u128 * (k + 1) as u128 / (n + 2) as u128) as usize;
    let likeliest = likeliest.clamp(least, k);
    let mut shares = vec![0.0; k + 1];
    shares[likeliest] = 1.0;
    for j in likeliest..k {
        shares[j + 1] = shares[j] * ratio(j);
    }
    for j in (least..likeliest).rev() {
        shares[j] = shares[j + 1] / ratio(j);
    }
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
}

/// A small table:
///
/// ```text
/// 5 of 100 nodes in 1 cell, 1000 customers, all 499500 pairs
///   shared         pairs   measured     theory
///        0        384712   77.019 %   76.959 %
/// …
/// worst pair 0x… and 0x… share 4; who loses all takes 0.000 % with it, at most 0
/// ```
impl fmt::Display for OverlapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (theory, pairs) = (&self.theory, self.pairs());
        let cells = if theory.cells == 1 { "cell" } else { "cells" };
        let all = if self.is_exact { "all" } else { "a sample of" };
        writeln!(
            f,
            "{} of {} nodes in {} {cells}, {} customers, {all} {pairs} pairs",
            theory.shard_size, theory.nodes, theory.cells, self.customers,
        )?;
        writeln!(f, "  shared         pairs   measured     theory")?;
        for (overlap, count) in self.counts.iter().enumerate() {
            let measured = Percent(self.share(overlap));
            write!(f, "{overlap:>8}  {count:>12} {measured}")?;
            match self.expected() {
                Some(shares) => {
                    let share = shares.get(overlap).copied().unwrap_or(0.0);
                    writeln!(f, " {}", Percent(share))?;
                }
                None => writeln!(f, "          -")?,
            }
        }
        match self.worst {
            Some(WorstPair { customers, overlap }) => {
                let (one, other) = customers;
                write!(
                    f,
                    "worst pair {one:#018x} and {other:#018x} share {overlap}"
                )?;
            }
            None => f.write_str("no two share a node")?,
        }
        let blast = Percent(self.blast_radius());
        write!(f, "; who loses all takes{blast} with it")?;
        if let Some(Blast { victims, .. }) = self.worst_blast {
            write!(f, ", at most {victims}")?;
        }
        Ok(())
    }
}

struct Percent(f64);

/// Ten characters.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.0;
        if percent > 0.0 && percent < 0.001 {
            write!(f, "{percent:>8.1e} %")
        } else {
            write!(f, "{percent:>8.3} %")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(n: u128, k: u128) -> u128 {
        (0..k).fold(1, |product, i| product * (n - i) / (i + 1))
    }

    #[test]
    fn the_theory_is_that_of_whole_numbers() {
        for n in 1..40usize {
            for k in 1..=n {
                let shares = hypergeometric(n, k);
                for (j, share) in shares.iter().enumerate() {
                    let (n, k, j) = (n as u128, k as u128, j as u128);
                    let possible = k - j <= n - k;
                    let ways = |_| choose(k, j) * choose(n - k, k - j);
                    let ways = possible.then_some(()).map_or(0, ways);
                    let exact = ways as f64 / choose(n, k) as f64;
                    let error = (share - exact).abs();
                    assert!(error <= 1e-12 * exact, "{n} {k} {j}: {share}, {exact}");
                }
            }
        }
    }

    /// Of AWS's texts: hands of 4 of 54 cards ("Shuffle Sharding: Massive and
    /// Magical Fault Isolation", AWS Architecture Blog, 2014) share one card
    /// in less than a quarter of cases, two in less than 1/40, three in less
    /// than 1/1000; of 2048 name servers there are some 730 billion sets of
    /// four ("Workload isolation using shuffle-sharding", Amazon Builders'
    /// Library).
    #[test]
    fn the_theory_says_what_is_published() {
        let cards = hypergeometric(54, 4);
        assert!((0.24..0.25).contains(&cards[1]), "{cards:?}");
        assert!((0.02..1.0 / 40.0).contains(&cards[2]), "{cards:?}");
        assert!((0.0005..1.0 / 1000.0).contains(&cards[3]), "{cards:?}");
        let servers = hypergeometric(2048, 4);
        assert_eq!((1e-9 / servers[4]) as u64, 730);
    }

    #[test]
    fn the_theory_holds_for_any_number() {
        for (n, k) in [(1 << 24, 5000), (1 << 20, 1 << 19), (3, 3), (1, 1)] {
            let sum: f64 = hypergeometric(n, k).iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{n} {k}: {sum}");
        }
        assert_eq!(expected(&[0, 0], 2), [1.0]);
        assert_eq!(expected(&[1, 1], 1), [0.0, 0.0, 1.0]);
    }
}
