//! What is true of the fields, whatever is in them. The property tests, the
//! fuzz target and the replay of its corpus share it.

use std::time::Duration;

use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_http::fields::{self, HIGHEST_ATTEMPT, LONGEST_TIMEOUT};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Reads any bytes as fields: a letter that says which, its value, a line.
pub(crate) fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((which, value)) = line.split_first() else {
            continue;
        };
        let name: &HeaderName = match which {
            b't' => &fields::TIMEOUT,
            b'g' => &fields::GRPC_TIMEOUT,
            b'a' => &fields::ATTEMPT,
            b'p' => &fields::PRIORITY,
            b'r' => &fields::RETRIED,
            b'l' => &fields::ADMISSION_LEVEL,
            _ => &fields::RETRY,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    headers
}

fn only(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    match values[..] {
        [value] => value.to_str().ok().map(str::to_owned),
        _ => None,
    }
}

fn number(text: &str, most: usize) -> Option<u128> {
    let is_one = (1..=most).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit());
    is_one.then(|| text.parse().expect("digits"))
}

/// A priority as its number, in the same way.
fn priority(headers: &HeaderMap) -> Option<u128> {
    let text = only(headers, &fields::PRIORITY)?;
    let classes = ["sheddable", "sheddable-plus", "critical", "critical-plus"];
    let (class, level) = match text.split(";level=").collect::<Vec<_>>()[..] {
        [number_or_class] => match number(number_or_class, 15) {
            Some(number) => return Some(number).filter(|number| *number <= 255),
            None => (number_or_class, 0),
        },
        [class, level] => (class, number(level, 2).filter(|level| *level <= 63)?),
        _ => return None,
    };
    let class = classes.into_iter().position(|known| known == class)?;
    Some(class as u128 * 64 + level)
}

/// An admission level as its number.
fn level(headers: &HeaderMap) -> Option<u128> {
    let text = only(headers, &fields::ADMISSION_LEVEL)?;
    let (priority, refused) = match text.split(";refused=").collect::<Vec<_>>()[..] {
        [priority] => (priority, "0"),
        [priority, refused] => (priority, refused),
        _ => return None,
    };
    let priority = number(priority, 3).filter(|number| *number <= 255)?;
    let refused = number(refused, 5).filter(|number| *number <= 65_535)?;
    Some(priority * 65_536 + refused)
}

/// Whether this is how a level is read.
///
/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_level(headers: &HeaderMap, read: Option<AdmissionLevel>) -> Result<(), String> {
    let read = read.map(|level| u128::from(level.as_u32()));
    let expected = level(headers);
    if read != expected {
        return Err(format!("level {read:?} is read, not {expected:?}"));
    }
    Ok(())
}

/// Whether this is how a priority is read.
///
/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_priority(headers: &HeaderMap, read: Option<Priority>) -> Result<(), String> {
    let read = read.map(|priority| u128::from(priority.as_u8()));
    let expected = priority(headers);
    if read != expected {
        return Err(format!("priority {read:?} is read, not {expected:?}"));
    }
    Ok(())
}

/// A decoder written to be read: with text, and 128 bits.
fn timeout(headers: &HeaderMap) -> Option<u128> {
    let only = |name| only(headers, name);
    let millis = only(&fields::TIMEOUT).and_then(|text| Some(number(&text, 15)? * 1_000_000));
    let grpc = only(&fields::GRPC_TIMEOUT).and_then(|text| {
        let unit = text.chars().last()?;
        let nanos = [
            ('n', 1),
            ('u', 1_000),
            ('m', 1_000_000),
            ('S', 1_000_000_000),
            ('M', 60_000_000_000),
            ('H', 3_600_000_000_000),
        ];
        let (_, nanos) = nanos.into_iter().find(|(letter, _)| *letter == unit)?;
        Some(number(&text[..text.len() - 1], 8)? * nanos)
    });
    let shortest = millis.into_iter().chain(grpc).min()?;
    Some(shortest.min(LONGEST_TIMEOUT.as_nanos()))
}

/// Whether this is how a timeout is read.
///
/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_timeout(headers: &HeaderMap, read: Option<Duration>) -> Result<(), String> {
    let read = read.map(|timeout| timeout.as_nanos());
    let expected = timeout(headers);
    if read != expected {
        return Err(format!("{read:?} is read, not {expected:?}"));
    }
    Ok(())
}

/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_read(headers: &HeaderMap) -> Result<(), String> {
    check_timeout(headers, fields::timeout(headers))?;
    let attempt = fields::attempt(headers);
    if !attempt.is_none_or(|attempt| (1..=HIGHEST_ATTEMPT).contains(&attempt)) {
        return Err(format!("attempt {attempt:?}"));
    }
    check_priority(headers, fields::priority(headers))?;
    check_level(headers, fields::admission_level(headers))?;
    if fields::is_retried(headers) && headers[&fields::RETRIED] != "?1" {
        return Err("retried, by another word".into());
    }
    if fields::forbids_retry(headers) && headers[&fields::RETRY] != "never" {
        return Err("forbidden, by another word".into());
    }
    Ok(())
}

/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_written(left: Duration) -> Result<(), String> {
    check_value(left, &fields::TIMEOUT, fields::timeout_value(left))?;
    check_value(
        left,
        &fields::GRPC_TIMEOUT,
        fields::grpc_timeout_value(left),
    )
}

/// Whether this is how so much time is written.
///
/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_value(
    left: Duration,
    name: &HeaderName,
    value: HeaderValue,
) -> Result<(), String> {
    let headers = HeaderMap::from_iter([(name.clone(), value)]);
    let Some(read) = fields::timeout(&headers) else {
        return Err(format!("{headers:?} is not read"));
    };
    let (read, left) = (read.as_nanos(), left.min(LONGEST_TIMEOUT).as_nanos());
    if (read == 0) != (left == 0) {
        return Err(format!("{left} ns are written as {read}"));
    }
    // Ours knows no less than a millisecond; gRPC's has its units.
    let unit = if name == fields::TIMEOUT {
        1_000_000
    } else {
        1
    };
    if read > left && read > unit {
        return Err(format!("{left} ns are prolonged to {read}"));
    }
    // It has at least five digits, where it is cut at all.
    if left.saturating_sub(read) > unit.max(left / 99_999) {
        return Err(format!("{left} ns are shortened to {read}"));
    }
    Ok(())
}
