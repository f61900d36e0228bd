use std::fmt::Write;
use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::allowance::{Allowance, Policy};
use http::header::{Entry, HeaderMap};
use http::{HeaderName, HeaderValue};

use super::{LIMIT, MOST, POLICY};
use crate::retry_after;

/// Writes an allowance into the fields of an answer: what its policy is, and
/// what of it is left. Lists that are there already are continued.
pub fn announce(headers: &mut HeaderMap, allowance: &Allowance) {
    let policy = allowance.policy();
    append(headers, &POLICY, policy_member(&policy));
    let wait = Some(allowance.more_after());
    let limit = limit_member(policy.name(), allowance.remaining(), wait);
    append(headers, &LIMIT, limit);
}

/// The value of [`POLICY`] for one policy. Its window is rounded up to whole
/// seconds, so that it promises no more than there is.
///
/// ```
/// use axiomatic_core::allowance::Policy;
/// use axiomatic_http::rate_limit;
/// use std::time::Duration;
///
/// let search = Policy::new("search".into(), 10, Duration::from_millis(5_200));
/// assert_eq!(rate_limit::policy_value(&search), r#""search";q=10;w=6"#);
/// ```
pub fn policy_value(policy: &Policy) -> HeaderValue {
    value(policy_member(policy))
}

/// The value of [`LIMIT`] for what is left under one policy, and for how long
/// that is all, if that is known. The time is rounded up to whole seconds and
/// never 0, which would say that more is there now.
///
/// ```
/// use axiomatic_core::Name;
/// use axiomatic_http::rate_limit;
/// use std::time::Duration;
///
/// let value = rate_limit::limit_value("search".into(), 0, Some(Duration::from_millis(300)));
/// assert_eq!(value, r#""search";r=0;t=1"#);
/// assert_eq!(rate_limit::limit_value(Name::from("a"), 7, None), r#""a";r=7"#);
/// ```
pub fn limit_value(policy: Name, remaining: u64, more_after: Option<Duration>) -> HeaderValue {
    value(limit_member(policy, remaining, more_after))
}

fn policy_member(policy: &Policy) -> String {
    let window = retry_after::rounded_up(policy.window());
    member(policy.name(), &[(";q=", policy.quota()), (";w=", window)])
}

fn limit_member(policy: Name, remaining: u64, more_after: Option<Duration>) -> String {
    match more_after.map(retry_after::rounded_up) {
        Some(wait) => member(policy, &[(";r=", remaining), (";t=", wait)]),
        None => member(policy, &[(";r=", remaining)]),
    }
}

/// A name and its parameters, in a string without room to spare: then the
/// value that is made of it is made without another allocation.
///
/// The name is a string of structured fields, which knows printable ASCII and
/// nothing else (RFC 9651, 3.3.3); what is not has an underscore in its place.
fn member(name: Name, parameters: &[(&str, u64)]) -> String {
    let is_escaped = |letter| matches!(letter, '"' | '\\');
    let letters = name.as_str().chars();
    let lengths = letters
        .clone()
        .map(|letter| 1 + usize::from(is_escaped(letter)));
    let quoted = 2 + lengths.sum::<usize>();
    let numbers = parameters
        .iter()
        .map(|(key, number)| key.len() + digits(*number));

    let mut text = String::with_capacity(quoted + numbers.sum::<usize>());
    text.push('"');
    for letter in letters {
        match letter {
            letter if is_escaped(letter) => text.extend(['\\', letter]),
            ' '..='~' => text.push(letter),
            _ => text.push('_'),
        }
    }
    text.push('"');
    for (key, number) in parameters {
        // Writing into a string does not fail.
        let _ = write!(text, "{key}{}", (*number).min(MOST));
    }
    text
}

fn digits(number: u64) -> usize {
    let power = number.min(MOST).checked_ilog10();
    power.map_or(1, |power| power as usize + 1)
}

/// One line for the whole list, as far as there is one: some clients read the
/// first line of a field and no other.
fn append(headers: &mut HeaderMap, name: &'static HeaderName, member: String) {
    match headers.entry(name) {
        Entry::Vacant(entry) => drop(entry.insert(value(member))),
        Entry::Occupied(mut entry) if entry.iter().count() == 1 => {
            let list = [entry.get().as_bytes(), b", ", member.as_bytes()].concat();
            entry.insert(HeaderValue::try_from(list).expect(PRINTABLE));
        }
        Entry::Occupied(mut entry) => entry.append(value(member)),
    }
}

fn value(member: String) -> HeaderValue {
    HeaderValue::try_from(member).expect(PRINTABLE)
}

const PRINTABLE: &str = "a list of what is printable, and what has been a value before";
