//! What an inbox recognises a message by.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::delivery::Delivery;
use crate::MessageId;

/// What a message is recognised by: text of 1 to 255 bytes.
///
/// That of our own outbox is a [`MessageId`]; other systems have ids of
/// other forms, and a business key is whatever the business has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Box<str>);

impl Id {
    /// The longest id, in bytes. It stands in an index, once for each message.
    pub const LONGEST: usize = 255;

    /// An id of this text.
    ///
    /// # Errors
    ///
    /// [`IdError::Empty`] or [`IdError::TooLong`]. An id is never cut: two
    /// messages would have one.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, IdError> {
        let text = text.into();
        match text.len() {
            0 => Err(IdError::Empty),
            1..=Id::LONGEST => Ok(Id(text)),
            bytes => Err(IdError::TooLong { bytes }),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Id::new(text)
    }
}

impl From<MessageId> for Id {
    fn from(id: MessageId) -> Self {
        Id(id.to_string().into())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the id of a message stands. There is no default: which repeats are
/// recognised depends on it.
#[derive(Clone, Debug)]
pub enum IdRule {
    /// The broker has it: the property or header that the broker's adapter
    /// reads. The outbox's publishers put the message's id there.
    ///
    /// Only for producers that keep the id when they send again. Where the
    /// broker makes ids itself, a message that is published twice has two.
    BrokerId,
    /// A header of this name has it. Names are compared as they are.
    Header(Box<str>),
    /// This function of the delivery: the number of an order, say. It finds
    /// repeats that come with another id, from a producer that was started
    /// anew. What is a key for one tenant alone needs the tenant in it.
    BusinessKey(fn(&Delivery) -> Option<String>),
}

impl IdRule {
    /// The header of this name.
    pub fn header(name: impl Into<Box<str>>) -> Self {
        IdRule::Header(name.into())
    }

    /// The id of a delivery.
    ///
    /// # Errors
    ///
    /// [`IdError::Missing`] if it has none: it cannot be handled once, so it
    /// must not be handled; and as [`Id::new`].
    pub fn id_of(&self, delivery: &Delivery) -> Result<Id, IdError> {
        match self {
            IdRule::BrokerId => delivery.broker_id().map(Id::new),
            IdRule::Header(name) => delivery.header(name).map(Id::new),
            IdRule::BusinessKey(key) => key(delivery).map(Id::new),
        }
        .unwrap_or_else(|| Err(IdError::Missing { rule: self.clone() }))
    }
}

impl PartialEq for IdRule {
    /// Two business keys are equal if they are one function, as far as that
    /// can be told.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (IdRule::BrokerId, IdRule::BrokerId) => true,
            (IdRule::Header(one), IdRule::Header(another)) => one == another,
            (IdRule::BusinessKey(one), IdRule::BusinessKey(another)) => {
                std::ptr::fn_addr_eq(*one, *another)
            }
            _ => false,
        }
    }
}

impl fmt::Display for IdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdRule::BrokerId => f.write_str("the broker's id"),
            IdRule::Header(name) => write!(f, "the header `{name}`"),
            IdRule::BusinessKey(_) => f.write_str("the business key"),
        }
    }
}

/// A delivery has no id, or none that can be stored. It comes again as it is,
/// so the caller sends it to the dead letters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IdError {
    /// It is not where the rule says.
    Missing {
        /// The rule.
        rule: IdRule,
    },
    /// It is there, and is empty.
    Empty,
    /// It has more bytes than [`Id::LONGEST`].
    TooLong {
        /// How many.
        bytes: usize,
    },
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdError::Missing { rule } => write!(f, "a delivery without its id, {rule}"),
            IdError::Empty => f.write_str("an id that is empty"),
            IdError::TooLong { bytes } => {
                write!(f, "an id of {bytes} bytes, of at most {}", Id::LONGEST)
            }
        }
    }
}

impl Error for IdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stands_where_the_rule_says_and_nowhere_else() {
        let delivery = Delivery::new("17;more")
            .with_broker_id("b-1")
            .with_header("event-id", "h-1");
        let business = |delivery: &Delivery| {
            let text = std::str::from_utf8(delivery.body()).ok()?;
            Some(text.split_once(';')?.0.to_owned())
        };
        let rules = [
            (IdRule::BrokerId, "b-1"),
            (IdRule::header("event-id"), "h-1"),
            (IdRule::BusinessKey(business), "17"),
        ];
        let bare = Delivery::new("none");
        for (rule, id) in rules {
            assert_eq!(rule.id_of(&delivery).unwrap().as_str(), id);
            assert_eq!(rule.id_of(&bare), Err(IdError::Missing { rule }));
        }
    }

    #[test]
    fn an_id_is_text_of_1_to_255_bytes_and_never_cut() {
        assert_eq!(Id::new(""), Err(IdError::Empty));
        assert!(Id::new("x").is_ok());
        assert!(Id::new("ü".repeat(127)).is_ok());
        assert_eq!(
            Id::new("ü".repeat(128)),
            Err(IdError::TooLong { bytes: 256 })
        );
        let id = MessageId::from_u128(1);
        assert_eq!(Id::from(id).as_str(), id.to_string());
    }
}
