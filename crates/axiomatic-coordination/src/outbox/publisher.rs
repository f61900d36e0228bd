//! What takes messages to a broker.

use std::fmt;

use super::record::Envelope;

/// Publishes messages, and says of each what became of it.
///
/// The messages of one call are of different keys, so a publisher may send
/// them in any order and all at once. What it must not do is answer before it
/// knows: [`Verdict::Acked`] is the broker's confirmation that the message
/// will survive what the broker promises to survive, not that bytes were sent.
///
/// Its future can be dropped at any await: by a relay that is dropped, or
/// that has waited [too long](super::Config::publish_timeout).
///
/// [`conformance::publishes`](super::conformance::publishes) holds a publisher
/// to this.
pub trait Publisher: Send + Sync {
    /// Publishes these messages. One verdict for each, in their order; a
    /// verdict that is missing is [`Verdict::Unknown`].
    fn publish(&self, messages: &[Envelope]) -> impl Future<Output = Vec<Verdict>> + Send;
}

impl<P: Publisher> Publisher for std::sync::Arc<P> {
    fn publish(&self, messages: &[Envelope]) -> impl Future<Output = Vec<Verdict>> + Send {
        P::publish(self, messages)
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The broker confirmed it.
    Acked,
    /// The broker had it already: as good as confirmed.
    Duplicate,
    /// The broker refused it: it was not published.
    Rejected {
        /// What kind of refusal this is, which decides what comes next.
        class: Class,
        /// What the broker said, for the operator.
        error: Box<str>,
    },
    /// Nobody knows: the confirmation was lost, or did not come in time. It
    /// is no failure, since the message may have been published: it is sent
    /// again, with the same id.
    Unknown,
}

impl Verdict {
    /// A refusal.
    pub fn rejected(class: Class, error: impl fmt::Display) -> Self {
        Verdict::Rejected {
            class,
            error: error.to_string().into(),
        }
    }
}

/// Why a broker does not take a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Not now: later it may.
    Transient,
    /// Never, as it is.
    Permanent,
    /// There is nobody to take it: no queue is bound, no stream has the
    /// subject.
    Unroutable,
    /// It is longer than the broker takes.
    TooLarge,
}

impl Class {
    /// In a word, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Transient => "transient",
            Class::Permanent => "permanent",
            Class::Unroutable => "unroutable",
            Class::TooLarge => "too large",
        }
    }
}
