/// A bijective mixer: every input bit reaches every output bit
/// (SplitMix64's finaliser; Steele, Lea and Flood, OOPSLA 2014).
#[inline]
pub const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The order in which nodes are preferred for a key: rendezvous hashing
/// (Thaler and Ravishankar, 1998). Greater comes first; when a node leaves,
/// only its own keys move.
///
/// ```
/// use axiomatic_core::hash::rendezvous;
/// let nodes = [11u64, 22, 33];
/// let owner = nodes.iter().max_by_key(|node| rendezvous(7, **node));
/// assert!(owner.is_some());
/// ```
#[inline]
pub const fn rendezvous(key: u64, node: u64) -> (u64, u64) {
    (mix(key ^ mix(node)), node)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of SplitMix64 from the state 0, which steps by the
    /// constant that `mix` adds (Vigna's splitmix64.c; the vector is in
    /// numpy's and Go's tests too).
    #[test]
    fn mix_is_the_step_of_splitmix64() {
        let gamma = 0x9e37_79b9_7f4a_7c15_u64;
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(gamma), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(mix(gamma.wrapping_mul(2)), 0x06c4_5d18_8009_454f);
    }

    /// Computed by Python; the order is the same for ever.
    #[test]
    fn rendezvous_mixes_the_key_with_the_mixed_node() {
        assert_eq!(rendezvous(7, 11), (0x2369_fa76_7f3b_b7a3, 11));
    }

    #[test]
    fn only_keys_of_the_removed_node_move() {
        let nodes = [1u64, 2, 3, 4, 5];
        let owner = |key, nodes: &[u64]| nodes.iter().copied().max_by_key(|n| rendezvous(key, *n));
        for key in 0..10_000 {
            let before = owner(key, &nodes);
            let after = owner(key, &nodes[1..]);
            assert!(before == Some(1) || before == after);
        }
    }
}
