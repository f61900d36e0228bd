//! One body of code, two sets of instructions, and the one `unsafe` call of
//! this crate.
//!
//! A [`Kernel`] is safe code over arrays of eight 32-bit words. Compiled for
//! AVX2 each of its loops over eight words is one instruction: such a loop
//! needs a shift of every word by a number of its own, which SSE2, the x86-64
//! that every processor has, does not know. There the powers of two come out
//! of a table, which took 4.6 ns a question where shifting word by word took
//! 7.4 and AVX2 takes 2.6 (Zen 3, 12 KiB).

/// The two ways to make powers of two.
pub(crate) trait Lanes {
    /// `1 << exponent` of each; exponents are below 32.
    fn powers(exponents: [u32; 8]) -> [u32; 8];
}

/// By shifts: where one instruction shifts each word by its own number. That
/// is AVX2, and NEON, which every 64-bit ARM has.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", test)),
    expect(dead_code, reason = "elsewhere it is not known to be faster")
)]
pub(crate) struct Wide;

/// Out of a table: everywhere else.
pub(crate) struct Narrow;

impl Lanes for Wide {
    #[inline(always)]
    fn powers(exponents: [u32; 8]) -> [u32; 8] {
        exponents.map(|exponent| 1 << (exponent & 31))
    }
}

impl Lanes for Narrow {
    #[inline(always)]
    fn powers(exponents: [u32; 8]) -> [u32; 8] {
        exponents.map(|exponent| POWERS[exponent as usize & 31])
    }
}

static POWERS: [u32; 32] = {
    let mut powers = [1; 32];
    let mut exponent = 0;
    while exponent < 32 {
        powers[exponent] = 1 << exponent;
        exponent += 1;
    }
    powers
};

/// What runs on one of the two. Its `run` is to be `#[inline(always)]`, or it
/// is compiled for the least of all processors.
pub(crate) trait Kernel {
    type Output;

    fn run<L: Lanes>(self) -> Self::Output;
}

/// Runs it on the best that this processor has.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        // A load and a test; nothing at all where the target has AVX2.
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: `with_avx2` demands (1) that the processor has AVX2 and
            // that the operating system keeps its registers: (1) is what has
            // just been asked.
            #[expect(unsafe_code, reason = "safe code cannot say what was detected")]
            return unsafe { with_avx2(kernel) };
        }
        without_avx2(kernel)
    }
    #[cfg(target_arch = "aarch64")]
    {
        kernel.run::<Wide>()
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        kernel.run::<Narrow>()
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Wide>()
}

/// A function of its own, as the other one has to be: else both would be so
/// large that who asks a question calls the one that then calls the other.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn without_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Narrow>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_make_the_same_powers() {
        for first in 0..32 {
            let exponents = std::array::from_fn(|at| (first + at as u32) % 32);
            let powers = exponents.map(|exponent| 2_u32.pow(exponent));
            assert_eq!(Wide::powers(exponents), powers);
            assert_eq!(Narrow::powers(exponents), powers);
        }
    }
}
