//! How many keys a small piece of memory gets, and what that does to the rate
//! of false positives.
//!
//! Keys are strewn over pieces (blocks, words, lines) by their hashes. At a
//! *load* of so many keys a piece on the average, the number in one of them is
//! Poisson's; a piece with more than its share answers wrongly more often, and
//! that is not made good by those with less. So the rate is the mean over the
//! distribution, and a formula for the average piece is too low: at 1 % by
//! half, at one in 100,000 by a factor of five.
//!
//! Only the four operations and the square root are used here, which IEEE 754
//! defines to the last bit: sizes are the same on every platform.

/// The most keys a piece that anybody sizes for: `e^-load` is still a number
/// then, and whatever is asked is answered with yes.
pub(crate) const MOST: f64 = 600.0;

/// The mean of `of(keys in a piece)` at this load, of a function that is
/// between 0 and 1.
pub(crate) fn mean(load: f64, mut of: impl FnMut(u32) -> f64) -> f64 {
    let load = load.clamp(0.0, MOST);
    let mut chance = exp_minus(load);
    let mut sum = chance * of(0);
    // Twelve standard deviations are enough for 17 digits, and for loads near
    // nothing some thirty keys are.
    let last = load + 12.0 * load.sqrt() + 30.0;
    let mut keys = 1;
    while f64::from(keys) <= last {
        chance *= load / f64::from(keys);
        sum += chance * of(keys);
        keys += 1;
    }
    sum
}

/// The greatest load at which `rate(load)`, which must not fall as the load
/// grows, is no more than `target`.
pub(crate) fn greatest(target: f64, mut rate: impl FnMut(f64) -> f64) -> f64 {
    let (mut good, mut bad) = (0.0, 1.0);
    // Rates of great loads are long sums: only as far as it must be.
    while bad < MOST && rate(bad) <= target {
        good = bad;
        bad = (2.0 * bad).min(MOST);
    }
    // As many halvings as a number has digits.
    for _ in 0..64 {
        let middle = (good + bad) / 2.0;
        if rate(middle) <= target {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

/// `e^-x` of no negative `x`: std's differs by platform in its last digit.
fn exp_minus(x: f64) -> f64 {
    let (mut small, mut doublings) = (x, 0);
    while small > 0.5 {
        small /= 2.0;
        doublings += 1;
    }
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..=18 {
        term *= -small / f64::from(n);
        sum += term;
    }
    for _ in 0..doublings {
        sum *= sum;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_std_but_for_the_last_digits() {
        for x in [0.0, 1e-12, 0.3, 0.5, 1.0, 7.25, 24.3, 100.0, 300.0, MOST] {
            let (ours, theirs) = (exp_minus(x), (-x).exp());
            assert!((ours / theirs - 1.0).abs() < 1e-12, "{x}: {ours} {theirs}");
        }
    }

    #[test]
    fn chances_add_up_and_their_mean_is_the_load() {
        for load in [0.0, 1e-9, 0.5, 6.4, 24.3, 250.0, MOST] {
            assert!((mean(load, |_| 1.0) - 1.0).abs() < 1e-11, "{load}");
            let keys = mean(load, f64::from);
            assert!(
                (keys - load).abs() <= 1e-9 * load.max(1e-3),
                "{load}: {keys}"
            );
        }
    }

    #[test]
    fn the_greatest_load_is_found() {
        assert!((greatest(0.25, |load| load / 100.0) - 25.0).abs() < 1e-9);
        assert_eq!(greatest(0.5, |_| 1.0), 0.0);
        assert!(greatest(0.5, |_| 0.0) > MOST - 1e-9);
    }
}
