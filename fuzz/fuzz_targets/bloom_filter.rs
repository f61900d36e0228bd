//! Whatever is done to a filter, on the instructions that this processor has. The oracle stands with the tests of the crate, which also replay
//! `corpus/` and `regressions/` on stable Rust.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/axiomatic-sketch/tests/it/oracle/filter.rs"]
mod oracle;

fuzz_target!(|bytes: &[u8]| {
    if let Err(difference) = oracle::check(bytes) {
        panic!("{bytes:02x?}\n{difference}");
    }
});
