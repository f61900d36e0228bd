//! What is true of the fields of a rate, whatever is in them. The property
//! tests, the fuzz target and the replay of its corpus share it.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

use axiomatic_core::Name;
use axiomatic_core::allowance::{Allowance, Heard, Policy};
use axiomatic_http::{rate_limit, retry_after};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const MOST: u64 = 999_999_999_999_999;

/// What `RateLimit-Limit` and the others are called, under a digit each.
const OTHERS: [&str; 10] = [
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "date",
    "retry-after",
];

/// Reads any bytes as fields: a letter that says which, its value, a line.
pub(crate) fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((which, value)) = line.split_first() else {
            continue;
        };
        let name = match which {
            b'0'..=b'9' => HeaderName::from_static(OTHERS[usize::from(which - b'0')]),
            b'p' => rate_limit::POLICY.clone(),
            _ => rate_limit::LIMIT.clone(),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    headers
}

pub(crate) fn heed(headers: &HeaderMap) -> Option<Heard> {
    let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    rate_limit::heed(StatusCode::TOO_MANY_REQUESTS, headers, now)
}

/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_read(headers: &HeaderMap) -> Result<(), String> {
    check_heard(headers, heed(headers))
}

/// Whether this is what is to be heard in such fields.
///
/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_heard(headers: &HeaderMap, heard: Option<Heard>) -> Result<(), String> {
    let told = heard.unwrap_or_default();
    for count in [told.quota(), told.remaining()] {
        if count.is_some_and(|count| count > MOST) {
            return Err(format!("more than there can be: {told:?}"));
        }
    }
    for wait in [told.window(), told.more_after(), told.retry_after()] {
        if wait.is_some_and(|wait| wait > retry_after::LONGEST) {
            return Err(format!("longer than anybody waits: {told:?}"));
        }
    }
    if told.window() == Some(Duration::ZERO) {
        return Err("a window of no length".into());
    }
    if heard.is_some_and(|heard| heard.is_nothing()) {
        return Err("nothing was heard, and called something".into());
    }
    match expected(headers) {
        Some(expected) if expected != heard => Err(format!("{heard:?}, not {expected:?}")),
        _ => Ok(()),
    }
}

/// Whether what is written of these is what is read.
///
/// # Errors
///
/// What is not as it should be.
pub(crate) fn check_written(left: &[Allowance]) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    for allowance in left {
        rate_limit::announce(&mut headers, allowance);
    }
    let read = heed(&headers);
    check_heard(&headers, read)?;
    let up = |wait: Duration| {
        let nanos = wait.as_nanos().div_ceil(1_000_000_000).max(1);
        Duration::from_secs(u64::try_from(nanos).unwrap()).min(retry_after::LONGEST)
    };
    let least = left
        .iter()
        .take(16)
        .min_by_key(|one| (one.remaining().min(MOST), Reverse(up(one.more_after()))));
    let expected = least.map(|least| {
        // The first of several of one name is taken for it.
        let named = |one: &&Allowance| shown(one.policy().name()) == shown(least.policy().name());
        let policy = left.iter().find(named).unwrap_or(least).policy();
        Heard::nothing()
            .with_quota(policy.quota().min(MOST))
            .with_window(up(policy.window()))
            .with_remaining(least.remaining().min(MOST))
            .with_more_after(up(least.more_after()))
    });
    if read != expected {
        return Err(format!("{headers:?} is {read:?}, not {expected:?}"));
    }
    Ok(())
}

/// Two names that are shown as one are one to who reads them.
fn shown(name: Name) -> String {
    let shown = |letter| match letter {
        ' '..='~' => letter,
        _ => '_',
    };
    name.as_str().chars().map(shown).collect()
}

/// Allowances from any bytes: 33 for each.
pub(crate) fn allowances(bytes: &[u8]) -> Vec<Allowance> {
    const NAMES: [&str; 5] = ["a", "b", "", "per \"minute\" \\ or so", "größe\n"];
    let number = |bytes: &[u8]| {
        let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        // As many small ones as large ones.
        number >> (bytes[0] % 64)
    };
    let pieces = bytes.chunks_exact(33);
    let read = pieces.map(|piece| {
        let name = Name::literal(NAMES[usize::from(piece[0]) % NAMES.len()]);
        let (quota, remaining) = (number(&piece[1..]), number(&piece[9..]));
        let window = Duration::from_nanos(number(&piece[17..]));
        let more_after = Duration::from_nanos(number(&piece[25..]));
        Allowance::new(Policy::new(name, quota, window), remaining, more_after)
    });
    read.collect()
}

/// What is to be heard, by a decoder written to be read; nothing if that does
/// not know.
fn expected(headers: &HeaderMap) -> Option<Option<Heard>> {
    let ours = [&rate_limit::LIMIT, &rate_limit::POLICY];
    if !headers.keys().all(|name| ours.contains(&name)) {
        return None;
    }
    let limits = lines(headers, &rate_limit::LIMIT);
    let policies = lines(headers, &rate_limit::POLICY);
    let (limits, policies) = match (limits, policies) {
        (Err(Stop::Beyond), _) | (_, Err(Stop::Beyond)) => return None,
        // It may be a dictionary, as in the seventh draft.
        (Err(Stop::Malformed), _) if written(headers).contains("remaining") => return None,
        (limits, policies) => (limits.unwrap_or_default(), policies.unwrap_or_default()),
    };
    let seconds = |number: u64| Duration::from_secs(number).min(retry_after::LONGEST);
    let promise = |policy: &Item| {
        let heard = Heard::nothing().with_quota(policy.number("q")??);
        match policy.number("w")? {
            Some(0) => None,
            Some(window) => Some(heard.with_window(seconds(window))),
            None => Some(heard),
        }
    };
    let of_requests = |item: &Item| {
        let unit = item.parameters.iter().rfind(|(key, _)| key == "qu");
        unit.is_none_or(|(_, unit)| *unit == Bare::Text("requests".into()))
    };
    let mut least: Option<(u64, Option<Duration>, Heard)> = None;
    for limit in &limits {
        let (Bare::Text(name) | Bare::Token(name)) = &limit.value else {
            continue;
        };
        let policy = policies.iter().find(|policy| match &policy.value {
            Bare::Text(other) | Bare::Token(other) => other == name,
            _ => false,
        });
        let (Some(Some(remaining)), Some(wait)) = (limit.number("r"), limit.number("t")) else {
            continue;
        };
        if !policy.is_none_or(of_requests) {
            continue;
        }
        let wait = wait.map(seconds);
        let before = least.as_ref();
        if before.is_none_or(|(r, t, _)| (remaining, Reverse(wait)) < (*r, Reverse(*t))) {
            let told = policy.and_then(promise).unwrap_or_default();
            least = Some((remaining, wait, told));
        }
    }
    if let Some((remaining, wait, told)) = least {
        let told = told.with_remaining(remaining);
        return Some(Some(wait.map_or(told, |t| told.with_more_after(t))));
    }
    let strictest = policies
        .iter()
        .filter(|policy| matches!(policy.value, Bare::Text(_) | Bare::Token(_)))
        .filter(|policy| of_requests(policy))
        .filter_map(promise);
    // Which of several is the lowest rate, the tests of the module say.
    match strictest.collect::<Vec<_>>()[..] {
        [] => Some(None),
        [one] => Some(Some(one)),
        _ => None,
    }
}

fn written(headers: &HeaderMap) -> String {
    format!("{headers:?}")
}

#[derive(Debug, PartialEq)]
enum Bare {
    Text(String),
    Token(String),
    Integer(i64),
    Other,
}

struct Item {
    value: Bare,
    parameters: Vec<(String, Bare)>,
}

impl Item {
    /// `None` if it is there and no number, `Some(None)` if it is not there.
    fn number(&self, key: &str) -> Option<Option<u64>> {
        match self.parameters.iter().rfind(|(other, _)| other == key) {
            None => Some(None),
            Some((_, Bare::Integer(number))) => u64::try_from(*number).ok().map(Some),
            Some(_) => None,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Stop {
    /// It is no list.
    Malformed,
    /// It may be one, of what this decoder does not know.
    Beyond,
}

fn lines(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<Item>, Stop> {
    let mut items = Vec::new();
    for line in headers.get_all(name) {
        let mut rest = Rest(line.as_bytes());
        rest.skip(b" ");
        while rest.peek().is_some() {
            items.push(rest.item()?);
            rest.skip(b" \t");
            if rest.peek().is_some() {
                rest.expect(b',')?;
                rest.skip(b" \t");
                rest.peek().ok_or(Stop::Malformed)?;
            }
        }
    }
    items.truncate(16);
    Ok(items)
}

struct Rest<'b>(&'b [u8]);

impl Rest<'_> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, some: &[u8]) {
        self.take(|byte| some.contains(&byte));
    }

    fn take(&mut self, is_one: impl Fn(u8) -> bool) -> String {
        let length = self.0.iter().take_while(|byte| is_one(**byte)).count();
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(taken).into_owned()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        (self.next() == Some(byte))
            .then_some(())
            .ok_or(Stop::Malformed)
    }

    fn item(&mut self) -> Result<Item, Stop> {
        let value = self.bare()?;
        let mut parameters = Vec::new();
        while self.peek() == Some(b';') {
            self.next();
            self.skip(b" ");
            if !self
                .peek()
                .is_some_and(|b| b.is_ascii_lowercase() || b == b'*')
            {
                return Err(Stop::Malformed);
            }
            let key = self.take(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
            });
            let value = if self.peek() == Some(b'=') {
                self.next();
                self.bare()?
            } else {
                Bare::Other
            };
            parameters.push((key, value));
        }
        Ok(Item { value, parameters })
    }

    fn bare(&mut self) -> Result<Bare, Stop> {
        match self.peek().ok_or(Stop::Malformed)? {
            b'"' => self.text(),
            b'-' | b'0'..=b'9' => self.number(),
            b'?' => {
                self.next();
                match self.next() {
                    Some(b'0' | b'1') => Ok(Bare::Other),
                    _ => Err(Stop::Malformed),
                }
            }
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => Ok(Bare::Token(self.take(|byte| {
                byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
            }))),
            b'(' | b'@' | b'%' | b':' => Err(Stop::Beyond),
            _ => Err(Stop::Malformed),
        }
    }

    fn text(&mut self) -> Result<Bare, Stop> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next().ok_or(Stop::Malformed)? {
                b'"' => return Ok(Bare::Text(text)),
                b'\\' => match self.next() {
                    Some(escaped @ (b'"' | b'\\')) => text.push(escaped.into()),
                    _ => return Err(Stop::Malformed),
                },
                letter @ b' '..=b'~' => text.push(letter.into()),
                _ => return Err(Stop::Malformed),
            }
        }
    }

    fn number(&mut self) -> Result<Bare, Stop> {
        let minus = self.peek() == Some(b'-');
        if minus {
            self.next();
        }
        let digits = self.take(|byte| byte.is_ascii_digit());
        let decimal = self.peek() == Some(b'.');
        let most = if decimal { 12 } else { 15 };
        if digits.is_empty() || digits.len() > most {
            return Err(Stop::Malformed);
        }
        if decimal {
            self.next();
            let fraction = self.take(|byte| byte.is_ascii_digit());
            let is_one = (1..=3).contains(&fraction.len());
            return is_one.then_some(Bare::Other).ok_or(Stop::Malformed);
        }
        let number: i64 = digits.parse().map_err(|_| Stop::Malformed)?;
        Ok(Bare::Integer(if minus { -number } else { number }))
    }
}
