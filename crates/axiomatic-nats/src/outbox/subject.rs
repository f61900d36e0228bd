//! Under which subject a message is published.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axiomatic_coordination::outbox::Message;

/// Under which subject a message is published.
///
/// ```
/// use axiomatic_coordination::outbox::Message;
/// use axiomatic_nats::outbox::Subjects;
///
/// let placed = Message::new("orders", "").keyed("17");
/// assert_eq!(Subjects::Topic.of(&placed)?, "orders");
/// assert_eq!(Subjects::under("shop").of(&placed)?, "shop.orders");
///
/// // Consumers can ask for the orders of one customer.
/// let by_key = Subjects::by(|message| {
///     format!("{}.{}", message.topic(), message.key().unwrap_or("none"))
/// });
/// assert_eq!(by_key.of(&placed)?, "orders.17");
/// # Ok::<_, axiomatic_nats::outbox::SubjectError>(())
/// ```
#[derive(Clone, Default)]
pub enum Subjects {
    /// Its topic.
    #[default]
    Topic,
    /// Its topic, behind this and a dot.
    Under(Box<str>),
    /// What this function says.
    By(Arc<dyn Fn(&Message) -> String + Send + Sync>),
}

impl Subjects {
    /// The longest subject, in bytes. A server that is sent a longer line than
    /// it takes (4096 bytes unless configured) closes the connection, and then
    /// nothing in flight is confirmed.
    pub const LONGEST: usize = 1024;

    /// The topic, behind this and a dot.
    pub fn under(prefix: impl Into<Box<str>>) -> Self {
        Subjects::Under(prefix.into())
    }

    /// What a function says of each message.
    pub fn by(subject: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        Subjects::By(Arc::new(subject))
    }

    /// The subject of a message.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] if it is none that can be published to.
    pub fn of<'a>(&self, message: &'a Message) -> Result<Cow<'a, str>, SubjectError> {
        let subject = match self {
            Subjects::Topic => Cow::Borrowed(message.topic()),
            Subjects::Under(prefix) => Cow::Owned(format!("{prefix}.{}", message.topic())),
            Subjects::By(subject) => Cow::Owned(subject(message)),
        };
        admit(&subject)?;
        Ok(subject)
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subjects::Topic => f.write_str("Topic"),
            Subjects::Under(prefix) => f.debug_tuple("Under").field(prefix).finish(),
            Subjects::By(_) => f.write_str("By"),
        }
    }
}

/// Whether something can be published under this subject.
///
/// What begins with `$` are the server's own interfaces, `$JS.API.STREAM.DELETE`
/// among them, and `_INBOX` is where somebody waits for an answer: a topic that
/// a user can choose must reach neither.
pub(super) fn admit(subject: &str) -> Result<(), SubjectError> {
    let refused = |why| {
        Err(SubjectError {
            subject: subject.into(),
            why,
        })
    };
    if subject.len() > Subjects::LONGEST {
        return refused(SubjectFault::TooLong);
    }
    if subject.split('.').any(str::is_empty) {
        return refused(SubjectFault::EmptyToken);
    }
    if subject.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return refused(SubjectFault::Whitespace);
    }
    if subject.contains(['*', '>']) {
        return refused(SubjectFault::Wildcard);
    }
    if subject.starts_with('$') || subject.starts_with("_INBOX.") {
        return refused(SubjectFault::Reserved);
    }
    Ok(())
}

/// Nothing can be published under this subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectError {
    subject: Box<str>,
    why: SubjectFault,
}

impl SubjectError {
    /// The subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What is wrong with it.
    pub fn why(&self) -> SubjectFault {
        self.why
    }
}

/// What is wrong with a subject.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectFault {
    /// It has more bytes than [`Subjects::LONGEST`].
    TooLong,
    /// It is empty, or begins or ends with a dot, or has two in a row.
    EmptyToken,
    /// It has whitespace or a control character.
    Whitespace,
    /// It has a wildcard.
    Wildcard,
    /// It belongs to the server: `$JS`, `$SYS`, `_INBOX` and the like.
    Reserved,
}

impl fmt::Display for SubjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, why } = self;
        match why {
            SubjectFault::TooLong => write!(
                f,
                "a subject of {} bytes, of at most {}",
                subject.len(),
                Subjects::LONGEST
            ),
            SubjectFault::EmptyToken => write!(f, "the subject {subject:?} has an empty token"),
            SubjectFault::Whitespace => write!(
                f,
                "the subject {subject:?} has whitespace or a control character"
            ),
            SubjectFault::Wildcard => write!(f, "the subject {subject:?} has a wildcard"),
            SubjectFault::Reserved => write!(f, "the subject {subject:?} is the server's own"),
        }
    }
}

impl Error for SubjectError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_published_to_is_a_subject() {
        for good in ["orders", "orders.eu.17", "größe", "a-b_c:1", "a.$b", "_in"] {
            assert_eq!(admit(good), Ok(()), "{good}");
        }
        let longest = "x".repeat(Subjects::LONGEST);
        assert_eq!(admit(&longest), Ok(()));
        let too_long = format!("{longest}x");
        for (bad, why) in [
            (&*too_long, SubjectFault::TooLong),
            ("", SubjectFault::EmptyToken),
            (".", SubjectFault::EmptyToken),
            (".orders", SubjectFault::EmptyToken),
            ("orders.", SubjectFault::EmptyToken),
            ("orders..17", SubjectFault::EmptyToken),
            ("orders 17", SubjectFault::Whitespace),
            ("orders\r\nPUB x 0\r\n\r\n", SubjectFault::Whitespace),
            ("orders\t", SubjectFault::Whitespace),
            ("orders\0", SubjectFault::Whitespace),
            ("orders\u{a0}17", SubjectFault::Whitespace),
            ("orders.*", SubjectFault::Wildcard),
            ("orders.>", SubjectFault::Wildcard),
            ("$JS.API.STREAM.DELETE.ORDERS", SubjectFault::Reserved),
            ("$SYS.REQ.SERVER.PING", SubjectFault::Reserved),
            ("_INBOX.x.y", SubjectFault::Reserved),
        ] {
            let refused = admit(bad).unwrap_err();
            assert_eq!((refused.why(), refused.subject()), (why, bad));
        }
    }

    #[test]
    fn the_rule_makes_the_subject_and_what_it_makes_is_looked_at() {
        let message = Message::new("orders", "").keyed("a b");
        let by_key = Subjects::by(|message| format!("x.{}", message.key().unwrap_or_default()));
        assert_eq!(Subjects::under("shop").of(&message).unwrap(), "shop.orders");
        assert_eq!(
            by_key.of(&message).unwrap_err().why(),
            SubjectFault::Whitespace
        );
        assert_eq!(
            Subjects::under("").of(&message).unwrap_err().why(),
            SubjectFault::EmptyToken
        );
    }
}
