use std::time::Duration;

use axiomatic_core::context::Priority;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    ATTEMPT, GRPC_TIMEOUT, HIGHEST_ATTEMPT, LONGEST_TIMEOUT, NEVER, PRIORITY, RETRIED, RETRY,
    TIMEOUT, YES,
};

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

/// The field's value, if it is there once.
pub(super) fn only<'h>(
    headers: &'h HeaderMap,
    name: &'static HeaderName,
) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn read_timeout(value: &HeaderValue) -> Option<Duration> {
    let millis = integer(value)?;
    Some(Duration::from_millis(millis).min(LONGEST_TIMEOUT))
}

pub(super) fn read_grpc_timeout(value: &HeaderValue) -> Option<Duration> {
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
