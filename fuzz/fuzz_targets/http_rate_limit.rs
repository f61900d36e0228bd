//! What servers say of their limits, who may say anything, against a decoder
//! written to be read; and any allowances, announced and heard again. The
//! oracle stands with the tests of the crate, which also replay `corpus/` and
//! `regressions/` on stable Rust.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/axiomatic-http/tests/it/rate_limit/oracle.rs"]
mod oracle;

fuzz_target!(|bytes: &[u8]| {
    let headers = oracle::headers(bytes);
    if let Err(difference) = oracle::check_read(&headers) {
        panic!("{headers:?}\n{difference}");
    }
    if let Err(difference) = oracle::check_written(&oracle::allowances(bytes)) {
        panic!("{difference}");
    }
});
