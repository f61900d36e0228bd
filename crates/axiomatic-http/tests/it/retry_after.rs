use std::time::{Duration, SystemTime};

use axiomatic_http::retry_after::{LONGEST, RetryAfter, value, wait};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

fn headers(retry_after: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(RETRY_AFTER, retry_after)])
}

/// Anything at all, and things that are nearly right.
fn header_value() -> impl Strategy<Value = HeaderValue> {
    let anything = prop::collection::vec(any::<u8>(), 0..40);
    let nearly_a_date = "[A-Z][a-z]{2,8}, [0-9]{1,2}[ -][A-Z][a-z]{2}[ -][0-9]{2,5} \
                         [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2} (GMT|UTC)";
    prop_oneof![
        anything,
        nearly_a_date.prop_map(String::into_bytes),
        "[0-9]{1,30}".prop_map(String::into_bytes),
    ]
    .prop_filter_map("not a header", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

proptest! {
    #[test]
    fn whatever_is_sent_is_a_bounded_wait_or_none(
        retry_after in header_value(),
        date in header_value(),
    ) {
        let mut headers = headers(retry_after);
        headers.insert(DATE, date);
        let waited = wait(&headers, SystemTime::now);
        prop_assert!(waited.unwrap_or_default() <= LONGEST);
    }

    #[test]
    fn what_is_written_is_read_as_the_same_wait_rounded_up(
        seconds in 0..1_u64 << 31,
        nanos in 0..1_000_000_000_u32,
    ) {
        let meant = Duration::new(seconds, nanos);
        let read = wait(&headers(value(meant)), || unreachable!()).unwrap();
        prop_assert!(read >= meant.max(Duration::from_secs(1)));
        prop_assert!(read.saturating_sub(meant) <= Duration::from_secs(1));
    }

    #[test]
    fn a_date_is_read_to_the_second(seconds in 0..250_000_000_000_u64) {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let written = httpdate::fmt_http_date(date).parse().unwrap();
        prop_assert_eq!(RetryAfter::parse(&written), Some(RetryAfter::At(date)));
    }
}
