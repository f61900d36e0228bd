//! What a message says beside its body.

use std::error::Error;
use std::fmt;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue, NATS_MESSAGE_ID};
use axiomatic_coordination::outbox::Envelope;

/// The header that has the message's key. Its name is one of the relay's, so
/// no producer's header can stand in its place.
pub const KEY: &str = "outbox-key";

/// All headers of a message, as NATS has them.
pub(super) fn headers(envelope: &Envelope) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, envelope.id().to_string());
    if let Some(key) = envelope.key() {
        headers.insert(KEY, value(KEY, key)?);
    }
    for (name, text) in envelope.headers() {
        headers.append(self::name(name)?, value(name, &text)?);
    }
    Ok(headers)
}

fn name(name: &str) -> Result<HeaderName, HeaderError> {
    let refused = |why| HeaderError {
        name: name.into(),
        why,
    };
    // The server's own: it would do what they say, such as to throw away what
    // the stream has, or to take the message for one that it has already.
    let begins = name.as_bytes().get(..5);
    if begins.is_some_and(|begins| begins.eq_ignore_ascii_case(b"nats-")) {
        return Err(refused(HeaderFault::Reserved));
    }
    if name.is_empty() {
        return Err(refused(HeaderFault::Name));
    }
    name.parse().map_err(|_| refused(HeaderFault::Name))
}

fn value(name: &str, text: &str) -> Result<HeaderValue, HeaderError> {
    let refused = |why| HeaderError {
        name: name.into(),
        why,
    };
    // Whoever reads headers takes whitespace at the ends away.
    if text.trim() != text {
        return Err(refused(HeaderFault::Ends));
    }
    if text.contains('\0') {
        return Err(refused(HeaderFault::Line));
    }
    text.parse().map_err(|_| refused(HeaderFault::Line))
}

/// NATS cannot carry this header, or would not carry it as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderError {
    name: Box<str>,
    why: HeaderFault,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum HeaderFault {
    Reserved,
    Name,
    Line,
    Ends,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, why } = self;
        let why = match why {
            HeaderFault::Reserved => "is an instruction to the server",
            HeaderFault::Name => "is no name that NATS has: visible ASCII without a colon",
            HeaderFault::Line => "has a value of more than a line, or a zero in it",
            HeaderFault::Ends => "has a value with whitespace at an end, which gets lost",
        };
        write!(f, "the header {name:?} {why}")
    }
}

impl Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_coordination::Timestamp;
    use axiomatic_coordination::outbox::{Epoch, Message, RowId, Stored};

    fn of(message: Message) -> Result<HeaderMap, HeaderError> {
        let stored = Stored {
            row: RowId(1),
            lane: message.lane(),
            sequence: None,
            failures: 0,
            started: 0,
            enqueued_at: Timestamp::default(),
            message,
        };
        headers(&Envelope::new(stored, Epoch(1)))
    }

    #[test]
    fn a_header_that_nats_would_not_carry_as_it_is_is_refused() {
        let with = |name: &str, value: &str| of(Message::new("t", "").with_header(name, value));
        for (name, value, why) in [
            ("", "x", HeaderFault::Name),
            ("a:b", "x", HeaderFault::Name),
            ("a b", "x", HeaderFault::Name),
            ("a\r\nb", "x", HeaderFault::Name),
            ("größe", "x", HeaderFault::Name),
            ("a", "x\r\nNats-Rollup: all", HeaderFault::Line),
            ("a", "x\ny", HeaderFault::Line),
            ("a", "x\0y", HeaderFault::Line),
            ("a", " x", HeaderFault::Ends),
            ("a", "x\u{a0}", HeaderFault::Ends),
            ("Nats-Rollup", "all", HeaderFault::Reserved),
            ("nats-msg-id", "1", HeaderFault::Reserved),
        ] {
            let refused = with(name, value).unwrap_err();
            assert_eq!((&*refused.name, refused.why), (name, why));
        }
        for key in ["a\r\nb", " a"] {
            assert!(of(Message::new("t", "").keyed(key)).is_err(), "{key:?}");
        }
        assert!(with("Content-Type", "größe; \"ü\"").is_ok());
        assert!(with("a", "").is_ok());
    }

    #[test]
    fn headers_of_one_name_are_all_there_and_in_order() {
        let message = Message::new("t", "").with_header("a", "1");
        let headers = of(message.with_header("a", "2")).unwrap();
        let values: Vec<_> = headers.get_all("a").map(HeaderValue::as_str).collect();
        assert_eq!(values, ["1", "2"]);
    }
}
