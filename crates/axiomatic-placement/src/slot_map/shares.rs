/// So many things by weights, none of them in parts: each weight's share,
/// rounded down, and one more for those whose remainders are the largest, the
/// earlier first (Hamilton's method, of the largest remainder).
///
/// The sum of the weights is not 0 and less than 2^63, and so is each product.
pub(super) fn shares(things: u64, weights: &[u64]) -> Vec<u64> {
    let total: u64 = weights.iter().sum();
    let product = |weight: &u64| things * weight;
    let mut shares: Vec<u64> = weights.iter().map(|w| product(w) / total).collect();
    let left = things - shares.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(product(&weights[*index]) % total));
    // Fewer are left than there are remainders.
    for index in order.into_iter().zip(0..left).map(|(index, _)| index) {
        shares[index] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn what_is_left_goes_to_the_largest_remainders() {
        assert_eq!(shares(16384, &[1, 1, 1]), [5462, 5461, 5461]);
        assert_eq!(shares(10, &[0, 1, 2, 0]), [0, 3, 7, 0]);
        assert_eq!(shares(1, &[1, 2, 2]), [0, 1, 0]);
        let most = u64::from(u32::MAX);
        assert_eq!(shares(1 << 20, &[most, most]), [1 << 19, 1 << 19]);
    }
}
