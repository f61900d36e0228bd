//! The header fields in which a request's context crosses a process.
//!
//! # The problem
//!
//! A context ends with its process, and load multiplies between processes: a
//! service three calls away works for 10 s on what its user gave up after 1,
//! and each of three services on the way makes 3 attempts of one, which are
//! 27 at the end.
//!
//! # Example
//!
//! [`InboundLayer`](crate::InboundLayer) and
//! [`OutboundLayer`](crate::OutboundLayer) read and write all of them. By
//! hand:
//!
//! ```
//! use axiomatic_http::fields;
//! use http::HeaderMap;
//! use std::time::Duration;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(&fields::TIMEOUT, fields::timeout_value(Duration::from_micros(2500)));
//! assert_eq!(headers["axiomatic-timeout-ms"], "2");
//! assert_eq!(fields::timeout(&headers), Some(Duration::from_millis(2)));
//! ```
//!
//! # How it works
//!
//! | Field | Of | Value | Says |
//! |---|---|---|---|
//! | [`axiomatic-timeout-ms`](TIMEOUT) | request | whole milliseconds | how long the caller still waits |
//! | [`grpc-timeout`](GRPC_TIMEOUT) | request | up to 8 digits, and a unit of `H` `M` `S` `m` `u` `n` | the same, for gRPC |
//! | [`axiomatic-attempt`](ATTEMPT) | request | a number from 1 | which attempt of the caller it is |
//! | [`axiomatic-priority`](PRIORITY) | request | a number from 0 to 255 | how much it matters; [as a number](Priority::as_u8) |
//! | [`axiomatic-retried`](RETRIED) | request | `?1` | somebody further out repeats it, so nobody further in should |
//! | [`axiomatic-retry`](RETRY) | answer | `never` | it failed for good, so nobody further out should repeat it |
//!
//! A field that is absent says what [`Context::default`] says. All values but
//! gRPC's are items of structured fields (RFC 9651), and the names are our
//! own, without `X-` (RFC 6648). Others have names for some of this, and none
//! for all of it: Envoy's `x-envoy-*` are removed and written anew at each
//! Envoy, Finagle's and linkerd 1's deadlines are absolute, and gRPC has an
//! attempt number that only its own retries write.
//!
//! **Time is relative.** A point in time would have to be read by another
//! clock, and a clock that is a minute wrong would refuse everything or
//! nothing. How long is left is right to the time that the request is under
//! way. It is rounded down, to what the unit can say, so that nobody further
//! in has more time than those further out; below one millisecond it is
//! written as 1, since 0 says that it has run out, and less than that is lost
//! on the way anyhow.
//!
//! **What a stranger can send** is bounded. A longer timeout than
//! [`LONGEST_TIMEOUT`] is read as that, a higher attempt than
//! [`HIGHEST_ATTEMPT`] too. A field that is there twice, or is not exactly of
//! its form, is as good as absent. A short timeout, a high attempt or
//! `retried` is at the expense of who says so; only a priority can be at that
//! of others, and who may claim which is for
//! [`InboundLayer::highest_priority`](crate::InboundLayer::highest_priority)
//! to say. No text of a field becomes a name.
//!
//! # Guarantees
//!
//! - What is written is read as the same, and a timeout never as a longer one
//!   (`what_is_written_is_read_and_never_longer`).
//! - Time that is left is not written as none
//!   (`time_that_is_left_is_never_written_as_none`).
//! - Whatever is sent, it is read as something in bounds, or as nothing
//!   (`whatever_is_sent_is_in_bounds_or_nothing`,
//!   `what_is_not_exactly_of_its_form_is_nothing`).
//! - A field that is there twice says nothing
//!   (`a_field_that_is_there_twice_says_nothing`).
//!
//! # Cost
//!
//! A lookup a field when they are read. Written is only what differs from
//! the default, and each field costs the allocation of its value.
//!
//! # When not to use it
//!
//! Towards a service of somebody else's, who gets to know how patient you
//! are and has no use for it: leave [`OutboundLayer`](crate::OutboundLayer)
//! out of that client.
//!
//! # References
//!
//! gRPC over HTTP/2, "Timeout"; RFC 9651, "Structured Field Values"; Google
//! SRE, "Addressing Cascading Failures", on propagated deadlines.

use std::time::Duration;

use axiomatic_core::Context;
use axiomatic_core::context::Priority;
use axiomatic_core::time::Instant;
use http::{HeaderMap, HeaderName, HeaderValue};

/// How long the caller still waits, in milliseconds.
pub static TIMEOUT: HeaderName = HeaderName::from_static("axiomatic-timeout-ms");

/// How long the caller of a gRPC method still waits.
pub static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Which attempt it is.
pub static ATTEMPT: HeaderName = HeaderName::from_static("axiomatic-attempt");

/// How much the request matters.
pub static PRIORITY: HeaderName = HeaderName::from_static("axiomatic-priority");

/// That somebody further out repeats the request.
pub static RETRIED: HeaderName = HeaderName::from_static("axiomatic-retried");

/// In an answer: that nobody further out should repeat the request.
pub static RETRY: HeaderName = HeaderName::from_static("axiomatic-retry");

/// The longest timeout that is read or written. Nobody waits a day for an
/// answer; whoever says so means that there is no hurry.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The highest attempt that is read or written, which no retry comes to.
pub const HIGHEST_ATTEMPT: u32 = 100;

const YES: HeaderValue = HeaderValue::from_static("?1");
const NEVER: HeaderValue = HeaderValue::from_static("never");

/// How long the caller still waits: the shorter of the two timeouts, if there
/// are two.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let millis = only(headers, &TIMEOUT).and_then(read_timeout);
    let grpc = only(headers, &GRPC_TIMEOUT).and_then(read_grpc_timeout);
    match (millis, grpc) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Which attempt of the caller this is.
pub fn attempt(headers: &HeaderMap) -> Option<u32> {
    match integer(only(headers, &ATTEMPT)?)? {
        0 => None,
        attempt => Some(attempt.min(HIGHEST_ATTEMPT.into()) as u32),
    }
}

/// How much the request matters, as its caller says.
pub fn priority(headers: &HeaderMap) -> Option<Priority> {
    let number = integer(only(headers, &PRIORITY)?)?;
    number.try_into().ok().map(Priority::from_u8)
}

/// Whether somebody further out repeats the request.
pub fn is_retried(headers: &HeaderMap) -> bool {
    only(headers, &RETRIED) == Some(&YES)
}

/// Whether an answer with these headers is not to be asked for again.
pub fn forbids_retry(headers: &HeaderMap) -> bool {
    only(headers, &RETRY) == Some(&NEVER)
}

/// Marks an answer as one not to be asked for again.
pub fn forbid_retry(headers: &mut HeaderMap) {
    headers.insert(&RETRY, NEVER);
}

/// The value of [`TIMEOUT`] for the time that is left.
pub fn timeout_value(left: Duration) -> HeaderValue {
    let left = left.min(LONGEST_TIMEOUT);
    let millis = left.as_millis() as u64;
    value(if left.is_zero() { 0 } else { millis.max(1) }, None)
}

/// The value of [`GRPC_TIMEOUT`] for the time that is left, in the finest
/// unit in which it has 8 digits.
pub fn grpc_timeout_value(left: Duration) -> HeaderValue {
    let nanos = left.min(LONGEST_TIMEOUT).as_nanos() as u64;
    match nanos {
        ..=MOST => value(nanos, Some(b'n')),
        nanos if nanos / 1_000 <= MOST => value(nanos / 1_000, Some(b'u')),
        // A day has 86 million of them.
        nanos => value(nanos / 1_000_000, Some(b'm')),
    }
}

/// The most that 8 digits say.
const MOST: u64 = 99_999_999;

/// A number and its unit, in one allocation, where `HeaderValue::from` has
/// two.
fn value(mut number: u64, unit: Option<u8>) -> HeaderValue {
    // 20 digits and a letter are the longest.
    let mut text = [0; 21];
    let mut start = text.len();
    let mut put = |byte| {
        start -= 1;
        text[start] = byte;
    };
    if let Some(unit) = unit {
        put(unit);
    }
    loop {
        put(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    HeaderValue::from_bytes(&text[start..]).expect("digits and a letter")
}

/// Makes the fields of a request say what its context says, at this moment.
/// Fields of ours that are there, of a request that is handed on for example,
/// are replaced or removed.
pub(crate) fn write(headers: &mut HeaderMap, context: &Context, now: impl FnOnce() -> Instant) {
    let left = context.deadline().map(|deadline| deadline.remaining(now()));
    set(headers, &TIMEOUT, left.map(timeout_value));
    let attempt = context.attempt().min(HIGHEST_ATTEMPT);
    set(
        headers,
        &ATTEMPT,
        (attempt > 1).then(|| value(attempt.into(), None)),
    );
    let priority = context.priority();
    let is_told = priority != Priority::default();
    let number = is_told.then(|| value(priority.as_u8().into(), None));
    set(headers, &PRIORITY, number);
    set(headers, &RETRIED, context.retried_by().map(|_| YES));
}

/// The same for gRPC's timeout. One that is there already, as the client of
/// gRPC itself writes it, stays if it is shorter.
pub(crate) fn write_grpc_timeout(headers: &mut HeaderMap, left: Duration) {
    let own = only(headers, &GRPC_TIMEOUT).and_then(read_grpc_timeout);
    if own.is_none_or(|own| left < own) {
        headers.insert(&GRPC_TIMEOUT, grpc_timeout_value(left));
    }
}

fn set(headers: &mut HeaderMap, name: &'static HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

/// The field's value, if it is there once.
fn only<'h>(headers: &'h HeaderMap, name: &'static HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn read_timeout(value: &HeaderValue) -> Option<Duration> {
    let millis = integer(value)?;
    Some(Duration::from_millis(millis).min(LONGEST_TIMEOUT))
}

fn read_grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    let value = number(digits, 8)?;
    let timeout = match unit {
        b'n' => Duration::from_nanos(value),
        b'u' => Duration::from_micros(value),
        b'm' => Duration::from_millis(value),
        b'S' => Duration::from_secs(value),
        b'M' => Duration::from_secs(value * 60),
        b'H' => Duration::from_secs(value * 60 * 60),
        _ => return None,
    };
    Some(timeout.min(LONGEST_TIMEOUT))
}

/// An integer of RFC 9651, 3.3.1, that is not negative.
fn integer(value: &HeaderValue) -> Option<u64> {
    number(value.as_bytes(), 15)
}

/// Digits and nothing else, at most so many; with 18, no sum wraps.
fn number(digits: &[u8], most: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    digits.iter().try_fold(0, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(sum * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::Name;
    use axiomatic_core::context::Deadline;

    fn headers(name: &'static HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.clone(), HeaderValue::from_str(value).unwrap())])
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_timeout_is_read_in_both_its_forms() {
        for (value, expected) in [
            ("0", millis(0)),
            ("1500", millis(1500)),
            ("007", millis(7)),
            ("86400001", LONGEST_TIMEOUT),
            ("999999999999999", LONGEST_TIMEOUT),
        ] {
            assert_eq!(timeout(&headers(&TIMEOUT, value)), Some(expected));
        }
        for (value, expected) in [
            ("0n", millis(0)),
            ("1n", Duration::from_nanos(1)),
            ("100u", Duration::from_micros(100)),
            ("1500m", millis(1500)),
            ("2S", millis(2_000)),
            ("3M", millis(180_000)),
            ("1H", millis(3_600_000)),
            ("99999999H", LONGEST_TIMEOUT),
        ] {
            assert_eq!(timeout(&headers(&GRPC_TIMEOUT, value)), Some(expected));
        }
    }

    #[test]
    fn of_two_timeouts_the_shorter_counts() {
        for (ours, theirs, expected) in [("5", "7m", 5), ("9", "7m", 7), ("no", "7m", 7)] {
            let mut headers = headers(&TIMEOUT, ours);
            headers.insert(&GRPC_TIMEOUT, theirs.parse().unwrap());
            assert_eq!(timeout(&headers), Some(millis(expected)));
        }
    }

    #[test]
    fn what_is_not_exactly_of_its_form_is_nothing() {
        for value in [
            "",
            "-1",
            "+1",
            "1.5",
            "1 ",
            "1e3",
            "0x10",
            "soon",
            "1,2",
            "1m",
            "1;a=1",
            "1000000000000000",
        ] {
            assert_eq!(timeout(&headers(&TIMEOUT, value)), None, "{value:?}");
            assert_eq!(attempt(&headers(&ATTEMPT, value)), None, "{value:?}");
            assert_eq!(priority(&headers(&PRIORITY, value)), None, "{value:?}");
        }
        for value in [
            "",
            "1",
            "m",
            "1 m",
            "-1m",
            "1.5S",
            "1s",
            "1h",
            "123456789n",
            "1mm",
            "S1",
        ] {
            assert_eq!(timeout(&headers(&GRPC_TIMEOUT, value)), None, "{value:?}");
        }
        for value in ["", "1", "?0", "?1 ", "true", "yes"] {
            assert!(!is_retried(&headers(&RETRIED, value)), "{value:?}");
        }
        for value in ["", "Never", "no", "never, never"] {
            assert!(!forbids_retry(&headers(&RETRY, value)), "{value:?}");
        }
        assert_eq!(attempt(&headers(&ATTEMPT, "0")), None);
        assert_eq!(priority(&headers(&PRIORITY, "256")), None);
        let not_ascii = HeaderValue::from_bytes(b"\xb2").unwrap();
        let headers = HeaderMap::from_iter([(TIMEOUT.clone(), not_ascii)]);
        assert_eq!(timeout(&headers), None);
    }

    #[test]
    fn a_field_that_is_there_twice_says_nothing() {
        let twice = |name: &'static HeaderName, value: &'static str| {
            let mut headers = headers(name, value);
            headers.append(name, HeaderValue::from_static(value));
            headers
        };
        assert_eq!(timeout(&twice(&TIMEOUT, "5")), None);
        assert_eq!(timeout(&twice(&GRPC_TIMEOUT, "5m")), None);
        assert_eq!(attempt(&twice(&ATTEMPT, "2")), None);
        assert_eq!(priority(&twice(&PRIORITY, "2")), None);
        assert!(!is_retried(&twice(&RETRIED, "?1")));
        assert!(!forbids_retry(&twice(&RETRY, "never")));
    }

    #[test]
    fn numbers_of_strangers_are_capped() {
        assert_eq!(attempt(&headers(&ATTEMPT, "3")), Some(3));
        for value in ["100", "101", "4294967297", "999999999999999"] {
            assert_eq!(attempt(&headers(&ATTEMPT, value)), Some(HIGHEST_ATTEMPT));
        }
        let highest = Some(Priority::from_u8(255));
        assert_eq!(priority(&headers(&PRIORITY, "255")), highest);
    }

    #[test]
    fn time_is_written_rounded_down() {
        for (left, ours, grpc) in [
            (Duration::ZERO, "0", "0n"),
            (Duration::from_nanos(1), "1", "1n"),
            (Duration::from_nanos(999_999), "1", "999999n"),
            (Duration::from_nanos(1_999_999), "1", "1999999n"),
            (Duration::from_nanos(99_999_999), "99", "99999999n"),
            (Duration::from_nanos(100_000_999), "100", "100000u"),
            (Duration::from_micros(99_999_999), "99999", "99999999u"),
            (Duration::from_micros(100_000_999), "100000", "100000m"),
            (LONGEST_TIMEOUT, "86400000", "86400000m"),
            (Duration::MAX, "86400000", "86400000m"),
        ] {
            assert_eq!(timeout_value(left), ours, "{left:?}");
            assert_eq!(grpc_timeout_value(left), grpc, "{left:?}");
        }
    }

    #[test]
    fn a_default_context_is_not_written_and_removes_what_is_there() {
        let nothing = || unreachable!("there is no deadline to compare");
        let mut headers = HeaderMap::new();
        write(&mut headers, &Context::default(), nothing);
        assert!(headers.is_empty());
        // A stranger's claims do not travel on in a request that is handed on.
        for name in [&TIMEOUT, &ATTEMPT, &PRIORITY, &RETRIED] {
            headers.append(name, HeaderValue::from_static("9"));
            headers.append(name, HeaderValue::from_static("255"));
        }
        headers.insert("x-other", HeaderValue::from_static("stays"));
        write(&mut headers, &Context::default(), nothing);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_context_is_written_as_it_is_now() {
        let now = Instant::from_nanos(1_000);
        let context = Context::default()
            .with_deadline(Deadline::at(now + millis(70)))
            .with_attempt(2)
            .with_priority(Priority::SHEDDABLE)
            .with_retried_by(Name::literal("edge"));
        let mut headers = headers(&PRIORITY, "255");
        write(&mut headers, &context, || now + millis(20));
        assert_eq!(headers.len(), 4);
        assert_eq!(headers[&TIMEOUT], "50");
        assert_eq!(headers[&ATTEMPT], "2");
        assert_eq!(headers[&PRIORITY], "0");
        assert_eq!(headers[&RETRIED], "?1");
        write(&mut headers, &context, || now + millis(90));
        assert_eq!(headers[&TIMEOUT], "0");
    }

    #[test]
    fn a_shorter_timeout_of_grpcs_own_stays() {
        for (own, expected) in [("10m", "10m"), ("30m", "20000000n"), ("long", "20000000n")] {
            let mut headers = headers(&GRPC_TIMEOUT, own);
            write_grpc_timeout(&mut headers, millis(20));
            assert_eq!(headers[&GRPC_TIMEOUT], expected);
        }
    }
}
