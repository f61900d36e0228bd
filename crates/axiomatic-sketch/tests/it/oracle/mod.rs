//! What the fuzz targets hold the filters to, here for their replay on stable
//! Rust.

pub(crate) mod filter;
pub(crate) mod stored;

use std::fs;
use std::path::Path;

/// Runs what the fuzzer of this name has kept.
fn replay(target: &str, check: impl Fn(&[u8]) -> Result<(), String>) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut replayed = 0;
    for place in ["corpus", "regressions"] {
        // There need not be regressions.
        let Ok(files) = fs::read_dir(fuzz.join(place).join(target)) else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let verdict = check(&fs::read(&path).unwrap());
            assert_eq!(verdict, Ok(()), "{}", path.display());
            replayed += 1;
        }
    }
    assert!(replayed >= 4, "{replayed} files; is the corpus gone?");
}

#[test]
fn what_the_fuzzers_kept_is_replayed() {
    replay("bloom_stored", stored::check);
    replay("bloom_filter", filter::check);
}
