//! What a message is recognised by.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The id of a message: a UUID that never changes, however often the message
/// is sent.
///
/// ```
/// use axiomatic_coordination::MessageId;
///
/// let id = MessageId::unique();
/// assert_eq!(id.to_string().parse::<MessageId>()?, id);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// An id like no other: a UUID of version 7 (RFC 9562), which begins with
    /// the milliseconds since 1970 and is random behind them. So ids that are
    /// made one after the other stand beside each other in an index, and those
    /// of a day are on a few of its pages, where random ones would be on all;
    /// and an id tells whoever sees it when it was made.
    pub fn unique() -> Self {
        MessageId(Uuid::now_v7())
    }

    /// An id of these 128 bits, the first of them the greatest.
    pub const fn from_u128(id: u128) -> Self {
        MessageId(Uuid::from_u128(id))
    }

    /// Its 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// Its sixteen bytes, as RFC 9562 orders them.
    pub const fn into_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// An id of these sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        MessageId(Uuid::from_bytes(bytes))
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        MessageId(id)
    }
}

impl From<MessageId> for Uuid {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

impl FromStr for MessageId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(MessageId)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
