use std::path::Path;
use std::time::Duration;

use axiomatic_http::fields;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use crate::oracle::{check_read, check_timeout, check_value, check_written, headers};

/// Anything at all, and things that are nearly right.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let anything = prop::collection::vec(any::<u8>(), 0..40);
    let nearly = prop::collection::vec("[tgapr?][0-9]{0,10}[numSMH?1;]{0,2}", 0..6);
    prop_oneof![
        anything,
        nearly.prop_map(|lines| lines.join("\n").into_bytes())
    ]
}

proptest! {
    #[test]
    fn whatever_is_sent_is_in_bounds_or_nothing(lines in lines()) {
        prop_assert_eq!(check_read(&headers(&lines)), Ok(()));
    }

    #[test]
    fn what_is_written_is_read_and_never_longer(
        magnitude in 0..64_u32,
        nanos in any::<u64>(),
    ) {
        prop_assert_eq!(check_written(Duration::from_nanos(nanos >> magnitude)), Ok(()));
    }
}

#[test]
fn time_that_is_left_is_never_written_as_none() {
    for nanos in [1, 999, 999_999, 1_000_000] {
        let left = Duration::from_nanos(nanos);
        assert_ne!(fields::timeout_value(left), "0", "{left:?}");
        assert_ne!(fields::grpc_timeout_value(left), "0n", "{left:?}");
        assert_eq!(check_written(left), Ok(()));
    }
    assert_eq!(fields::timeout_value(Duration::ZERO), "0");
    assert_eq!(fields::grpc_timeout_value(Duration::ZERO), "0n");
    assert_eq!(check_written(Duration::MAX), Ok(()));
}

#[test]
fn what_the_fuzzer_found_or_began_with_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut replayed = 0;
    for place in ["corpus/http_fields", "regressions/http_fields"] {
        for file in std::fs::read_dir(fuzz.join(place)).into_iter().flatten() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(check_read(&headers(&bytes)), Ok(()), "{path:?}");
            replayed += 1;
        }
    }
    assert!(replayed >= 5, "{replayed} files; is the corpus gone?");
}

/// The oracle is worth something only if it sees what is wrong.
#[test]
fn the_oracle_sees_planted_bugs() {
    // The first of two, signs and spaces, and a number that wraps.
    let careless = |headers: &HeaderMap| {
        let text = headers.get(&fields::TIMEOUT)?.to_str().ok()?;
        let millis: u64 = text.trim().parse().ok()?;
        Some(Duration::from_millis(millis & u64::from(u32::MAX)))
    };
    assert_eq!(
        check_timeout(&headers(b"t70"), careless(&headers(b"t70"))),
        Ok(())
    );
    for lines in ["t70\nt80", "t+5", "t 5", "t4294967297", "t70\ng1m"] {
        let headers = headers(lines.as_bytes());
        assert!(
            check_timeout(&headers, careless(&headers)).is_err(),
            "{lines}"
        );
        assert_eq!(check_read(&headers), Ok(()), "{lines}");
    }
    // Rounded up, to the nearest, to nothing, and to a coarse unit.
    for (nanos, careless) in [
        (1_500_001, "2"),
        (999_999_999, "1000"),
        (400_000, "0"),
        (7_900_000_000, "7000"),
        (0, "1"),
        (5_000_000, "5m"),
    ] {
        let left = Duration::from_nanos(nanos);
        let careless = HeaderValue::from_static(careless);
        assert!(
            check_value(left, &fields::TIMEOUT, careless).is_err(),
            "{left:?}"
        );
    }
    for (nanos, careless) in [(999, "1u"), (99_999_999, "100m"), (7_900_000_000, "7S")] {
        let left = Duration::from_nanos(nanos);
        let careless = HeaderValue::from_static(careless);
        assert!(
            check_value(left, &fields::GRPC_TIMEOUT, careless).is_err(),
            "{left:?}"
        );
    }
}
