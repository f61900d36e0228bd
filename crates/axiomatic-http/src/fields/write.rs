use std::time::Duration;

use axiomatic_core::Context;
use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::time::Instant;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::read::{admission_level, only, read_grpc_timeout};
use super::{
    ADMISSION_LEVEL, ATTEMPT, GRPC_TIMEOUT, HIGHEST_ATTEMPT, LONGEST_TIMEOUT, NEVER, PRIORITY,
    REFUSED, RETRIED, RETRY, TIMEOUT, YES,
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

/// A number and its unit.
fn value(number: u64, unit: Option<u8>) -> HeaderValue {
    let mut text = Text::new();
    if let Some(unit) = unit {
        text.put(&[unit]);
    }
    text.put_number(number);
    text.into_value()
}

/// What a value says, written from its end to its beginning, as numbers are. It
/// becomes one in one allocation, where `HeaderValue::from` has two.
struct Text {
    // 20 digits and a letter are the longest, and a level has 17 characters.
    bytes: [u8; 21],
    start: usize,
}

impl Text {
    fn new() -> Self {
        let bytes = [0; 21];
        Text {
            start: bytes.len(),
            bytes,
        }
    }

    fn put(&mut self, text: &[u8]) {
        let end = self.start;
        self.start -= text.len();
        self.bytes[self.start..end].copy_from_slice(text);
    }

    fn put_number(&mut self, mut number: u64) {
        loop {
            self.put(&[b'0' + (number % 10) as u8]);
            number /= 10;
            if number == 0 {
                break;
            }
        }
    }

    fn into_value(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.bytes[self.start..]).expect("what is printable")
    }
}

/// The value of [`ADMISSION_LEVEL`]. The share that is refused is left out if
/// it is none.
///
/// ```
/// use axiomatic_core::context::{AdmissionLevel, Priority};
/// use axiomatic_http::fields;
///
/// let level = AdmissionLevel::at(Priority::CRITICAL, 16_384);
/// assert_eq!(fields::admission_level_value(level), "128;refused=16384");
/// let level = AdmissionLevel::at(Priority::CRITICAL, 0);
/// assert_eq!(fields::admission_level_value(level), "128");
/// ```
pub fn admission_level_value(level: AdmissionLevel) -> HeaderValue {
    let mut text = Text::new();
    if level.refused() != 0 {
        text.put_number(level.refused().into());
        text.put(REFUSED);
    }
    text.put_number(level.priority().as_u8().into());
    text.into_value()
}

/// Writes a level into the fields of an answer. One that is there already, of
/// who sheds load further in, stays if it is higher; one that cannot be read
/// does not. Where everything is admitted there is nothing to write.
pub fn announce_level(headers: &mut HeaderMap, level: AdmissionLevel) {
    if level == AdmissionLevel::ALL {
        return;
    }
    if admission_level(headers).is_none_or(|further_in| further_in < level) {
        headers.insert(&ADMISSION_LEVEL, admission_level_value(level));
    }
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
