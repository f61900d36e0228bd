//! The logarithm that weights need, in integers: `f64::ln` may answer
//! differently on another platform, and with it a key's owner.

/// Segments of an octave. Between the ends of a segment the logarithm is taken
/// for a straight line, which is right to 1/2048 at worst, and that alike for
/// all weights.
const SEGMENTS: usize = 1 << BITS;
const BITS: u32 = 10;

/// ln(1 + i / SEGMENTS) in units of 2^-64, rounded down; the last one is ln 2.
static LN: [u64; SEGMENTS + 1] = table();

/// How long a node that weighs one waits for this draw: -ln((draw + 1) / 2^64)
/// in units of 2^-64, an exponentially distributed time if the draw is
/// uniform.
///
/// Never grows with the draw, and is never less than [`at_least`] says.
pub(super) fn wait(draw: u64) -> u128 {
    let Some(above) = draw.checked_add(1) else {
        return 0;
    };
    // Of 1.fraction x 2^-zeros: the segment, and how far into it.
    let zeros = above.leading_zeros();
    let fraction = (above << zeros) << 1;
    let segment = (fraction >> (64 - BITS)) as usize;
    let inside = u128::from(fraction << BITS);
    let (from, to) = (LN[segment], LN[segment + 1]);
    let ln = from + ((u128::from(to - from) * inside) >> 64) as u64;
    u128::from(zeros + 1) * u128::from(LN[SEGMENTS]) - u128::from(ln)
}

/// A bound that costs nothing: -ln(u) is at least 1 - u.
#[inline(always)]
pub(super) fn at_least(draw: u64) -> u64 {
    !draw
}

const fn table() -> [u64; SEGMENTS + 1] {
    let mut table = [0; SEGMENTS + 1];
    let mut i = 0;
    while i <= SEGMENTS {
        table[i] = ln_of(i as u128);
        i += 1;
    }
    table
}

/// ln m = 2 (s + s^3/3 + s^5/5 + …) with s = (m - 1) / (m + 1), here for
/// m = 1 + i / SEGMENTS. Computed with 30 bits more than are kept.
const fn ln_of(i: u128) -> u64 {
    const EXTRA: u32 = 30;
    let over = 2 * SEGMENTS as u128 + i;
    let mut term = (i << (64 + EXTRA)) / over;
    let mut sum = 0;
    let mut odd = 1;
    while term > 0 {
        sum += term / odd;
        term = term * i / over * i / over;
        odd += 2;
    }
    ((2 * sum) >> EXTRA) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ln 2 = 0.693147180559945309417232121458176568…
    #[test]
    fn the_table_ends_with_the_logarithm_of_two() {
        assert_eq!(LN[SEGMENTS], 0xb172_17f7_d1cf_79ab);
        assert_eq!(LN[0], 0);
        // ln 1.5 = 0.405465108108164381978013115464349136…
        assert_eq!(LN[SEGMENTS / 2], 0x67cc_8fb2_fe61_2fca);
    }

    #[test]
    fn it_is_the_logarithm_to_one_in_two_thousand() {
        let mut draw = u64::MAX;
        let mut tried = 0;
        while draw > 1 << 20 {
            let exact = -((draw as f64 + 1.0) / 2f64.powi(64)).ln();
            let is = wait(draw) as f64 / 2f64.powi(64);
            if exact > 1e-9 {
                assert!(
                    (is / exact - 1.0).abs() < 1.0 / 2000.0,
                    "{draw}: {is}, {exact}"
                );
            }
            draw -= draw / 1013;
            tried += 1;
        }
        assert!(tried > 10_000);
        assert_eq!(wait(u64::MAX), 0);
    }

    /// Weights are compared by it, equal weights by the draws alone: it must
    /// not turn their order round, least of all where segments meet.
    #[test]
    fn it_never_grows_with_the_draw_and_keeps_its_bound() {
        let mut edges = vec![0, u64::MAX];
        for zeros in 0..54 {
            for segment in 0..SEGMENTS as u64 {
                let below = (1 << 63 | segment << (63 - BITS)) >> zeros;
                edges.push(below);
            }
        }
        for edge in edges {
            for near in 0..3u64 {
                for draw in [edge.saturating_sub(near), edge.saturating_add(near)] {
                    let next = draw.saturating_add(1);
                    assert!(wait(draw) >= wait(next), "{draw}");
                    assert!(wait(draw) >= u128::from(at_least(draw)), "{draw}");
                }
            }
        }
    }
}
