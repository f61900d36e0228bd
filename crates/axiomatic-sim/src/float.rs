//! Logarithm and exponential from the four operations of IEEE 754.
//!
//! Those, and the square root, give the same bits on every machine. std's
//! `ln` and `exp` are the platform's own and may differ in the last bit; one
//! bit moves one event, and the run is another one.

use std::f64::consts::{LN_2, SQRT_2};

const MANTISSA: u32 = 52;
const BIAS: i64 = 1023;

/// The natural logarithm of a positive, normal number.
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> MANTISSA) as i64 - BIAS;
    let fraction = bits & ((1 << MANTISSA) - 1);
    let mut mantissa = f64::from_bits(fraction | ((BIAS as u64) << MANTISSA));
    if mantissa > SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh s; s² is under 0.03, so twelve terms fill 53 bits.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let mut sum = 0.0;
    for term in (0..12).rev() {
        sum = sum * (s * s) + 1.0 / f64::from(2 * term + 1);
    }
    2.0 * s * sum + exponent as f64 * LN_2
}

/// The exponential of a number whose result is normal; others saturate.
pub(crate) fn exp(x: f64) -> f64 {
    let whole = (x / LN_2 + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let whole = whole.clamp(1 - BIAS, BIAS);
    let rest = x - whole as f64 * LN_2;
    // The rest is at most 0.35: seventeen terms of Taylor fill 53 bits.
    let mut sum = 1.0;
    for term in (1..=17).rev() {
        sum = 1.0 + sum * rest / f64::from(term);
    }
    sum * f64::from_bits(((whole + BIAS) as u64) << MANTISSA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_exponential_agree_with_std() {
        let mut x = 1e-12;
        while x < 1e12 {
            let difference = (ln(x) - x.ln()).abs();
            assert!(difference <= 1e-14 * x.ln().abs().max(1.0), "ln {x}");
            x *= 1.000_7;
        }
        let mut x = -60.0;
        while x < 60.0 {
            let difference = (exp(x) - x.exp()).abs();
            assert!(difference <= 1e-13 * x.exp(), "exp {x}");
            x += 0.003;
        }
    }
}
