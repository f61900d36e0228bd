//! What a message says beside its body.

use std::error::Error;
use std::fmt;

use axiomatic_coordination::outbox::Envelope;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// The header that has the message's key. Its name is one of the relay's, so
/// no producer's header can stand in its place.
pub const KEY: &str = "outbox-key";

/// On the disk of a durable queue.
const PERSISTENT: u8 = 2;

/// What RabbitMQ itself writes there, or takes for an instruction: `CC` and
/// `BCC` are more routing keys, and one that is no list closes the channel.
const RESERVED: [&str; 4] = ["CC", "BCC", "x-death", "x-delivery-count"];

/// The properties of a message, and how many bytes the frame has in which they
/// are sent. A server takes no frame that is longer than agreed: it closes the
/// connection.
pub(super) fn properties(envelope: &Envelope) -> Result<(BasicProperties, usize), HeaderError> {
    let mut headers = FieldTable::default();
    // A frame with the flags, all of the fixed properties and an empty table.
    let mut frame = 64;
    let mut insert = |name: &str, value: &str| {
        let name = self::name(name)?;
        frame += name.as_str().len() + value.len() + 6;
        let value = AMQPValue::LongString(value.into());
        let before = headers.inner().get(&name);
        if before.is_some_and(|before| *before != value) && !is_traces(name.as_str()) {
            return Err(HeaderError {
                name: name.as_str().into(),
                why: HeaderFault::Twice,
            });
        }
        headers.insert(name, value);
        Ok(())
    };
    if let Some(key) = envelope.key() {
        insert(KEY, key)?;
    }
    let mut content_type = None;
    for (name, value) in envelope.headers() {
        if name.eq_ignore_ascii_case("content-type") {
            content_type = ShortString::try_new(&*value).ok();
        }
        insert(name, &value)?;
    }
    let id = envelope.id().to_string();
    frame += id.len();
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.into())
        .with_headers(headers);
    if let Some(content_type) = content_type {
        frame += content_type.as_str().len();
        properties = properties.with_content_type(content_type);
    }
    Ok((properties, frame))
}

/// The trace of the message stands behind one that the producer wrote, and is
/// what counts.
fn is_traces(name: &str) -> bool {
    [Envelope::TRACE_PARENT, Envelope::TRACE_STATE].contains(&name)
}

fn name(name: &str) -> Result<ShortString, HeaderError> {
    let refused = |why| HeaderError {
        name: name.into(),
        why,
    };
    if RESERVED.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(refused(HeaderFault::Reserved));
    }
    ShortString::try_new(name).map_err(|_| refused(HeaderFault::TooLong))
}

/// RabbitMQ cannot carry this header, or would not carry it as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderError {
    name: Box<str>,
    why: HeaderFault,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum HeaderFault {
    Reserved,
    TooLong,
    Twice,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, why } = self;
        match why {
            HeaderFault::Reserved => write!(f, "the header {name:?} is the server's own"),
            HeaderFault::TooLong => write!(
                f,
                "the name of a header has {} bytes, of at most 255",
                name.len()
            ),
            HeaderFault::Twice => {
                write!(
                    f,
                    "the header {name:?} has two values, of which AMQP has one"
                )
            }
        }
    }
}

impl Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_coordination::Timestamp;
    use axiomatic_coordination::outbox::{Epoch, Message, RowId, Stored};

    fn of(message: Message) -> Result<(BasicProperties, usize), HeaderError> {
        let stored = Stored {
            row: RowId(1),
            lane: message.lane(),
            sequence: None,
            failures: 0,
            started: 0,
            enqueued_at: Timestamp::default(),
            message,
        };
        properties(&Envelope::new(stored, Epoch(1)))
    }

    #[test]
    fn a_header_that_is_the_servers_or_too_long_is_refused() {
        let with = |name: &str| of(Message::new("t", "").with_header(name, "x"));
        for name in ["CC", "bcc", "x-death", "X-Delivery-Count"] {
            assert_eq!(with(name).unwrap_err().why, HeaderFault::Reserved);
        }
        let long = with(&"x".repeat(256)).unwrap_err();
        assert_eq!(long.why, HeaderFault::TooLong);
        let twice = Message::new("t", "").with_header("a", "1");
        let twice = of(twice.with_header("a", "2")).unwrap_err();
        assert_eq!(twice.why, HeaderFault::Twice);
        for name in ["x-request-id", "größe", "a b", &"x".repeat(255)] {
            assert!(with(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_message_is_persistent_and_has_its_id_its_key_and_its_content_type() {
        let message = Message::new("t", "").keyed("17");
        let id = message.id().to_string();
        let message = message.with_header("Content-Type", "text/plain");
        let (properties, _) = of(message).unwrap();
        assert_eq!(properties.delivery_mode(), &Some(2));
        assert_eq!(properties.message_id(), &Some(id.into()));
        assert_eq!(properties.content_type(), &Some("text/plain".into()));
        let headers = properties.headers().as_ref().expect("it has headers");
        let key = AMQPValue::LongString("17".into());
        assert_eq!(headers.inner().get("outbox-key"), Some(&key));
        assert!(headers.inner().contains_key("Content-Type"));
    }

    #[test]
    fn the_frame_is_not_longer_than_it_is_said_to_be() {
        use lapin::protocol::basic::gen_properties;
        for bytes in [0, 1, 1_000, 100_000] {
            let message = Message::new("t", "").keyed("k".repeat(bytes));
            let message = message.with_header("content-type", "x".repeat(bytes % 255));
            let message = message.with_header("y".repeat(1 + bytes % 254), "");
            let (properties, said) = of(message).unwrap();
            let written = gen_properties(&properties)(Vec::new().into());
            let (written, _) = written.unwrap().into_inner();
            // The frame's head and end, and the class, weight and size.
            let frame = written.len() + 8 + 12;
            assert!(frame <= said && said <= frame + 64, "{frame} {said}");
        }
    }
}
