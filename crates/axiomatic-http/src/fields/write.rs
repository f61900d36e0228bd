use std::time::Duration;

use axiomatic_core::Context;
use axiomatic_core::context::Priority;
use axiomatic_core::time::Instant;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::read::{only, read_grpc_timeout};
use super::{
    ATTEMPT, GRPC_TIMEOUT, HIGHEST_ATTEMPT, LONGEST_TIMEOUT, NEVER, PRIORITY, RETRIED, RETRY,
    TIMEOUT, YES,
};

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
