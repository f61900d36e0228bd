//! `Retry-After` (RFC 9110, 10.2.3): read in both its forms, written in one.
//!
//! ```
//! use axiomatic_http::retry_after::{self, RetryAfter};
//! use http::{HeaderMap, header};
//! use std::time::{Duration, SystemTime};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(header::DATE, "Fri, 31 Dec 1999 23:59:00 GMT".parse()?);
//! headers.insert(header::RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT".parse()?);
//! let wait = retry_after::wait(&headers, SystemTime::now);
//! assert_eq!(wait, Some(Duration::from_secs(59)));
//!
//! assert_eq!(retry_after::value(Duration::from_millis(1200)), "2");
//! # Ok::<(), http::header::InvalidHeaderValue>(())
//! ```

use std::time::{Duration, SystemTime};

use axiomatic_core::backoff::{Backoff, Session};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

/// The longest wait that is read: 2³¹ seconds, 68 years, which is what HTTP
/// makes of a number of seconds too large to count (RFC 9111, 1.2.2).
pub const LONGEST: Duration = Duration::from_secs(1 << 31);

/// The content of a `Retry-After` header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long from the answer on; at most [`LONGEST`].
    Wait(Duration),
    /// Not before this date.
    At(SystemTime),
}

impl RetryAfter {
    /// Reads the header's value; nothing if it has neither form, as for the
    /// fractions of a second that some servers send.
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // Only digits: whatever does not fit is too large.
            let seconds = text.parse().map_or(LONGEST, Duration::from_secs);
            return Some(RetryAfter::Wait(seconds.min(LONGEST)));
        }
        httpdate::parse_http_date(text).ok().map(RetryAfter::At)
    }

    /// The wait as seen from `now`; zero if the date has passed.
    pub fn wait_from(self, now: SystemTime) -> Duration {
        match self {
            RetryAfter::Wait(wait) => wait,
            RetryAfter::At(date) => date.duration_since(now).unwrap_or_default().min(LONGEST),
        }
    }
}

/// How long an answer with these headers asks to wait.
///
/// A date is read against the answer's own `Date`, which the same clock
/// wrote; only without one is `now` asked, hence the closure.
pub fn wait(headers: &HeaderMap, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let retry_after = RetryAfter::parse(headers.get(RETRY_AFTER)?)?;
    if let RetryAfter::Wait(wait) = retry_after {
        return Some(wait);
    }
    let answered = headers
        .get(DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(retry_after.wait_from(answered.unwrap_or_else(now)))
}

/// The header's value for a wait, in whole seconds, rounded up.
///
/// A client that comes back too early is refused once more, so no wait is
/// written as less than it is, and none as 0, which would say "now".
pub fn value(wait: Duration) -> HeaderValue {
    HeaderValue::from(rounded_up(wait))
}

/// The same, and by chance some seconds more: those who are refused in one
/// moment are not to come back in one.
///
/// That is up to half as many seconds again, at least one and at most a
/// minute; each number of them is as likely as the others. A `Session` is the
/// dice: a new one for each value, or a seeded one where it is to be the same
/// every time.
///
/// ```
/// use axiomatic_core::backoff::Session;
/// use axiomatic_http::retry_after;
/// use std::time::Duration;
///
/// let value = retry_after::jittered(Duration::from_millis(3_900), &mut Session::new());
/// assert!(["4", "5", "6"].iter().any(|seconds| value == seconds));
/// ```
pub fn jittered(wait: Duration, dice: &mut Session) -> HeaderValue {
    let seconds = rounded_up(wait);
    let most = (seconds / 2).clamp(1, 60);
    // Anything below the next second, cut down to a whole one.
    let below = Duration::from_secs(most + 1) - Duration::from_nanos(1);
    let more = Backoff::constant(below).wait(dice, None).as_secs();
    HeaderValue::from(seconds.saturating_add(more))
}

/// In whole seconds, rounded up and never 0.
pub(crate) fn rounded_up(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn parse(text: &str) -> Option<RetryAfter> {
        RetryAfter::parse(&HeaderValue::from_str(text).unwrap())
    }

    fn date(text: &str) -> SystemTime {
        httpdate::parse_http_date(text).unwrap()
    }

    fn headers(retry_after: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        headers
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(parse("0"), Some(RetryAfter::Wait(Duration::ZERO)));
        assert_eq!(parse("120"), Some(RetryAfter::Wait(120 * SECOND)));
        assert_eq!(parse(" 120 "), Some(RetryAfter::Wait(120 * SECOND)));
    }

    #[test]
    fn more_seconds_than_can_be_counted_are_the_longest_wait() {
        let longest = Some(RetryAfter::Wait(LONGEST));
        assert_eq!(parse("2147483648"), longest);
        assert_eq!(parse("18446744073709551615"), longest);
        assert_eq!(parse("99999999999999999999999999"), longest);
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        let expected = Some(RetryAfter::At(
            SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
        ));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        assert_eq!(parse("Sunday, 06-Nov-94 08:49:37 GMT"), expected);
        assert_eq!(parse("Sun Nov  6 08:49:37 1994"), expected);
    }

    #[test]
    fn nonsense_is_no_wait() {
        for text in ["", "-1", "+1", "1.5", "soon", "1 2", "1e3", "0x10"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        let not_text = HeaderValue::from_bytes(b"\xff").unwrap();
        assert_eq!(RetryAfter::parse(&not_text), None);
        assert_eq!(wait(&headers("soon", None), || unreachable!()), None);
        assert_eq!(wait(&HeaderMap::new(), || unreachable!()), None);
    }

    #[test]
    fn a_date_is_read_against_the_answers_own_clock() {
        let headers = headers(
            "Fri, 31 Dec 1999 23:59:59 GMT",
            Some("Fri, 31 Dec 1999 23:59:00 GMT"),
        );
        let waited = wait(&headers, || panic!("no other clock is needed"));
        assert_eq!(waited, Some(59 * SECOND));
    }

    #[test]
    fn without_the_answers_clock_ours_is_read() {
        let at = "Fri, 31 Dec 1999 23:59:59 GMT";
        for unusable in [None, Some("yesterday")] {
            let waited = wait(&headers(at, unusable), || date(at) - 10 * SECOND);
            assert_eq!(waited, Some(10 * SECOND));
        }
    }

    #[test]
    fn seconds_need_no_clock() {
        let waited = wait(&headers("3", None), || panic!("no clock is needed"));
        assert_eq!(waited, Some(3 * SECOND));
    }

    #[test]
    fn a_date_that_has_passed_is_no_wait() {
        let at = "Fri, 31 Dec 1999 23:59:59 GMT";
        let late = wait(&headers(at, None), || date(at) + SECOND);
        assert_eq!(late, Some(Duration::ZERO));
    }

    #[test]
    fn a_wait_is_written_rounded_up_and_never_as_zero() {
        for (wait, expected) in [
            (Duration::ZERO, "1"),
            (Duration::from_nanos(1), "1"),
            (SECOND, "1"),
            (SECOND + Duration::from_nanos(1), "2"),
            (Duration::from_millis(59_900), "60"),
            (Duration::MAX, "18446744073709551615"),
        ] {
            assert_eq!(value(wait), expected, "{wait:?}");
        }
    }

    #[test]
    fn jitter_adds_up_to_half_as_much_and_every_second_as_often() {
        for (wait, from, to) in [
            (Duration::ZERO, 1, 2),
            (Duration::from_millis(300), 1, 2),
            (SECOND, 1, 2),
            (3 * SECOND, 3, 4),
            (Duration::from_millis(3_001), 4, 6),
            (30 * SECOND, 30, 45),
            (3_600 * SECOND, 3_600, 3_660),
        ] {
            let mut dice = Session::seeded(7);
            let mut counts = vec![0; to - from + 1];
            for _ in 0..1_000 * counts.len() {
                let value = jittered(wait, &mut dice);
                let seconds: usize = value.to_str().unwrap().parse().unwrap();
                counts[seconds - from] += 1;
            }
            assert!(
                counts.iter().all(|count| (850..=1_150).contains(count)),
                "{wait:?}: {counts:?}"
            );
        }
        let longest = jittered(Duration::MAX, &mut Session::new());
        assert_eq!(longest, "18446744073709551615");
    }
}
