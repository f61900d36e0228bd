//! Header fields that anybody may send, against a decoder written to be read;
//! and any time that is left, written and read again. The oracle stands with
//! the tests of the crate, which also replay `corpus/` and `regressions/` on
//! stable Rust.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/axiomatic-http/tests/it/oracle.rs"]
mod oracle;

fuzz_target!(|bytes: &[u8]| {
    let headers = oracle::headers(bytes);
    if let Err(difference) = oracle::check_read(&headers) {
        panic!("{headers:?}\n{difference}");
    }
    // The first bytes as a time, of which the first eighth says how long.
    if let Some((length, nanos)) = bytes.split_first_chunk::<8>().map(|(n, _)| (n[0], n)) {
        let left = Duration::from_nanos(u64::from_le_bytes(*nanos) >> (length % 64));
        if let Err(difference) = oracle::check_written(left) {
            panic!("{difference}");
        }
    }
});
