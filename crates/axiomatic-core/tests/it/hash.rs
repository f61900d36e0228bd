//! The hash contract.

mod encoder;
mod golden;
mod published;
mod seeds;

/// xxHash's test buffer, from its `cli/xsum_sanity_check.c`.
fn buffer(length: usize) -> Vec<u8> {
    let mut state: u64 = 2_654_435_761;
    let mut next = || {
        let byte = (state >> 56) as u8;
        state = state.wrapping_mul(0x9e37_79b1_85eb_ca8d);
        byte
    };
    (0..length).map(|_| next()).collect()
}
