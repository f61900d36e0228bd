//! Random breaker scripts against the reference model. The model, the script
//! decoder and the proof that planted bugs are seen stand with the breaker's
//! own tests, which also replay `corpus/` and `regressions/` on stable Rust.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)] // The proof of the oracle is in the tests.
#[path = "../../crates/axiomatic-failure/tests/it/reference.rs"]
mod reference;

fuzz_target!(|bytes: &[u8]| {
    let (setup, steps) = reference::decode(bytes);
    if let Err(difference) = reference::compare(&setup, &steps, None) {
        panic!("{setup:?}\n{steps:?}\n{difference}");
    }
});
