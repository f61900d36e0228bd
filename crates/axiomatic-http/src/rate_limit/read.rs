use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

use axiomatic_core::allowance::Heard;
use http::header::{AGE, DATE};
use http::{HeaderMap, HeaderName, StatusCode};

use super::members::{self, Member, Value};
use super::{LIMIT, POLICY};
use crate::retry_after::{self, LONGEST};

/// What an answer says of the limits of who gave it; nothing if it says
/// nothing that can be understood. The [module](super) has the table of what
/// is read.
///
/// Only a moment, as `X-RateLimit-Reset` may be one, needs a clock: that of the
/// answer's own `Date`, and without one `now`.
pub fn heed(
    status: StatusCode,
    headers: &HeaderMap,
    now: impl Fn() -> SystemTime,
) -> Option<Heard> {
    let told = if is_old(headers) {
        Heard::nothing()
    } else {
        current(headers)
            .or_else(|| seventh_draft(headers))
            .or_else(|| separate(headers, &now))
            .or_else(|| promises(headers))
            .unwrap_or_default()
    };
    // Beside a redirection it is about something else (RFC 9110, 10.2.3).
    let is_error = status.is_client_error() || status.is_server_error();
    let wait = is_error.then(|| retry_after::wait(headers, now)).flatten();
    let heard = match wait {
        Some(wait) => told.with_retry_after(wait),
        None => told,
    };
    (!heard.is_nothing()).then_some(heard)
}

/// Whether it comes out of a cache: then it speaks of another moment, and maybe
/// to somebody else.
pub(crate) fn is_old(headers: &HeaderMap) -> bool {
    headers.get(AGE).is_some_and(|age| age != "0")
}

/// What is left under each of several policies, as since the eighth draft.
fn current(headers: &HeaderMap) -> Option<Heard> {
    let limits = members::list(headers, &LIMIT);
    if limits.is_empty() {
        return None;
    }
    let policies = members::list(headers, &POLICY);
    let (remaining, Reverse(more_after), policy) = limits
        .iter()
        .filter_map(|limit| {
            let policy = policies.iter().find(|policy| policy.value == limit.value);
            let counts = limit.is_named() && !policy.is_some_and(|policy| policy.is_foreign);
            let remaining = limit.remaining.required().filter(|_| counts)?;
            let more_after = limit.more_after.optional()?.map(seconds);
            Some((remaining, Reverse(more_after), policy))
        })
        // The one that runs out first, and of two the one that does for longer.
        .min_by_key(|(remaining, more_after, _)| (*remaining, *more_after))?;
    let told = policy.and_then(promised).unwrap_or_default();
    Some(left(told, remaining, more_after))
}

/// The strictest of the policies, where nothing says what is left.
fn promises(headers: &HeaderMap) -> Option<Heard> {
    members::list(headers, &POLICY)
        .iter()
        .filter(|policy| policy.is_named() && !policy.is_foreign)
        .filter_map(promised)
        .reduce(stricter)
}

/// What a policy says, if it says what it has to.
fn promised(policy: &Member<'_>) -> Option<Heard> {
    let heard = Heard::nothing().with_quota(policy.quota.required()?);
    match policy.window.optional()? {
        None => Some(heard),
        // There are no windows of no length.
        Some(0) => None,
        Some(window) => Some(heard.with_window(seconds(window))),
    }
}

/// The lower rate of two; one that is known before one that is not.
fn stricter(one: Heard, other: Heard) -> Heard {
    let rate = |heard: Heard| Some((heard.quota()?, heard.window()?.as_secs()));
    match (rate(one), rate(other)) {
        (Some((a, in_a)), Some((b, in_b))) => {
            let is_lower = u128::from(b) * u128::from(in_a) < u128::from(a) * u128::from(in_b);
            if is_lower { other } else { one }
        }
        (None, Some(_)) => other,
        (_, None) => one,
    }
}

fn left(told: Heard, remaining: u64, more_after: Option<Duration>) -> Heard {
    let told = told.with_remaining(remaining);
    match more_after {
        Some(wait) => told.with_more_after(wait),
        None => told,
    }
}

/// One dictionary, which only the seventh draft has:
/// `limit=100, remaining=50, reset=5`.
fn seventh_draft(headers: &HeaderMap) -> Option<Heard> {
    let keys = ["limit", "remaining", "reset"];
    let [quota, remaining, reset] = members::dictionary(headers, &LIMIT, keys);
    let remaining = remaining?;
    let told = with_quota(quota, &members::list(headers, &POLICY));
    Some(left(told, remaining, reset.map(seconds)))
}

/// A quota, and its window as the policies of the drafts up to the seventh
/// have it: `100;w=60`.
fn with_quota(quota: Option<u64>, policies: &[Member<'_>]) -> Heard {
    let Some(quota) = quota else {
        return Heard::nothing();
    };
    let window = policies
        .iter()
        .filter(|policy| policy.value == Value::Thousandths(quota.saturating_mul(1_000)))
        .find_map(|policy| policy.window.required().filter(|window| *window > 0));
    let told = Heard::nothing().with_quota(quota);
    match window {
        Some(window) => told.with_window(seconds(window)),
        None => told,
    }
}

/// A field for each number: those of the drafts before the seventh, and those
/// that were there before all drafts, in both their spellings.
static SEPARATE: [[HeaderName; 3]; 3] = [
    [
        HeaderName::from_static("ratelimit-limit"),
        HeaderName::from_static("ratelimit-remaining"),
        HeaderName::from_static("ratelimit-reset"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit"),
        HeaderName::from_static("x-ratelimit-remaining"),
        HeaderName::from_static("x-ratelimit-reset"),
    ],
    [
        HeaderName::from_static("x-rate-limit-limit"),
        HeaderName::from_static("x-rate-limit-remaining"),
        HeaderName::from_static("x-rate-limit-reset"),
    ],
];

fn separate(headers: &HeaderMap, now: &impl Fn() -> SystemTime) -> Option<Heard> {
    SEPARATE.iter().find_map(|[limit, remaining, reset]| {
        let limits = members::list(headers, limit);
        let quota = limits.first().and_then(count);
        let remaining = only(headers, remaining).and_then(whole);
        // A moment says nothing without them.
        quota.or(remaining)?;
        let mut told = with_quota(quota, &limits);
        if told.window().is_none() {
            told = with_quota(quota, &members::list(headers, &POLICY));
        }
        let Some(remaining) = remaining else {
            return Some(told);
        };
        let more_after = only(headers, reset).map(|millis| until(millis, headers, now));
        Some(left(told, remaining, more_after))
    })
}

fn count(member: &Member<'_>) -> Option<u64> {
    match member.value {
        Value::Thousandths(thousandths) => whole(thousandths),
        _ => None,
    }
}

fn whole(thousandths: u64) -> Option<u64> {
    (thousandths % 1_000 == 0).then_some(thousandths / 1_000)
}

/// A number that is there once, in thousandths. Of two, nobody knows which
/// belongs to which of the other fields.
fn only(headers: &HeaderMap, name: &'static HeaderName) -> Option<u64> {
    match members::list(headers, name)[..] {
        [
            Member {
                value: Value::Thousandths(number),
                ..
            },
        ] => Some(number),
        _ => None,
    }
}

/// In 31 years, or in September 2001: nobody means either, so that a number of
/// seconds from here on is a moment.
const MOMENTS_FROM: u64 = 1_000_000_000;

/// How long it is until what a field says, in thousandths: so many seconds;
/// from [`MOMENTS_FROM`] on the seconds since 1970, as GitHub sends them; and
/// from a thousand times that on the milliseconds since then.
fn until(thousandths: u64, headers: &HeaderMap, now: &impl Fn() -> SystemTime) -> Duration {
    let number = thousandths / 1_000;
    if number < MOMENTS_FROM {
        return Duration::from_millis(thousandths).min(LONGEST);
    }
    let since = if number < MOMENTS_FROM * 1_000 {
        Duration::from_millis(thousandths)
    } else {
        Duration::from_millis(number)
    };
    let answered = headers
        .get(DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    // Not every system's clock reaches as far as the digits do.
    let Some(at) = SystemTime::UNIX_EPOCH.checked_add(since) else {
        return LONGEST;
    };
    let wait = at.duration_since(answered.unwrap_or_else(now));
    wait.unwrap_or_default().min(LONGEST)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST)
}
