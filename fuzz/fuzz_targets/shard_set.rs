//! Stored sets of shards, which may come from anybody: decoding them does not
//! panic, and whatever is decoded encodes to the same bytes and can be used. The
//! oracle stands with the tests of the crate, which also replay `corpus/` and
//! `regressions/` on stable Rust.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/axiomatic-placement/tests/it/numbered/oracle.rs"]
mod oracle;

fuzz_target!(|bytes: &[u8]| {
    if let Err(difference) = oracle::check(bytes) {
        panic!("{bytes:02x?}\n{difference}");
    }
});
