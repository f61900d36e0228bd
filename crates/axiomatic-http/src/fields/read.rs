use std::time::Duration;

use axiomatic_core::context::{AdmissionLevel, Priority};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    ADMISSION_LEVEL, ATTEMPT, GRPC_TIMEOUT, HIGHEST_ATTEMPT, LONGEST_TIMEOUT, NEVER, PRIORITY,
    REFUSED, RETRIED, RETRY, TIMEOUT, YES,
};
use crate::rate_limit;

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

/// How much the request matters, as its caller says: by number, or by class.
///
/// ```
/// use axiomatic_core::context::Priority;
/// use axiomatic_http::fields;
/// use http::HeaderMap;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(&fields::PRIORITY, "sheddable-plus;level=3".parse()?);
/// let by_class = fields::priority(&headers);
/// headers.insert(&fields::PRIORITY, "67".parse()?);
/// assert_eq!(fields::priority(&headers), by_class);
/// assert_eq!(by_class, Some(Priority::SHEDDABLE_PLUS.with_level(3)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn priority(headers: &HeaderMap) -> Option<Priority> {
    let value = only(headers, &PRIORITY)?;
    match integer(value) {
        Some(number) => number.try_into().ok().map(Priority::from_u8),
        None => class(value.as_bytes()),
    }
}

/// A class, and a level in it if one is told.
fn class(value: &[u8]) -> Option<Priority> {
    let (class, level) = with_parameter(value, b";level=");
    let class = match class {
        b"sheddable" => Priority::SHEDDABLE,
        b"sheddable-plus" => Priority::SHEDDABLE_PLUS,
        b"critical" => Priority::CRITICAL,
        b"critical-plus" => Priority::CRITICAL_PLUS,
        _ => return None,
    };
    match level.map(|level| number(level, 2)) {
        None => Some(class),
        Some(Some(level @ 0..64)) => Some(class.with_level(level as u8)),
        Some(_) => None,
    }
}

/// From which priority on who answered admits requests. An answer out of a
/// cache, which has an `Age`, does not say.
pub fn admission_level(headers: &HeaderMap) -> Option<AdmissionLevel> {
    let value = only(headers, &ADMISSION_LEVEL)?.as_bytes();
    if rate_limit::is_old(headers) {
        return None;
    }
    let (priority, refused) = with_parameter(value, REFUSED);
    let priority = number(priority, 3)?.try_into().ok()?;
    let refused = match refused {
        Some(refused) => number(refused, 5)?.try_into().ok()?,
        None => 0,
    };
    Some(AdmissionLevel::at(Priority::from_u8(priority), refused))
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

/// A value and the one parameter that it may have. What has another one is not
/// cut, and so is nothing that is known.
fn with_parameter<'v>(value: &'v [u8], key: &[u8]) -> (&'v [u8], Option<&'v [u8]>) {
    let end = value.iter().position(|byte| *byte == b';');
    let (bare, parameters) = value.split_at(end.unwrap_or(value.len()));
    match parameters.strip_prefix(key) {
        Some(parameter) => (bare, Some(parameter)),
        None => (value, None),
    }
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
