//! What the server's answers mean.

use axiomatic_coordination::outbox::{Class, Verdict};
use lapin::message::BasicReturnMessage;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::{Confirmation, Error, ErrorKind};

/// A message that was sent by a channel that no other wave uses.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) exchange: Box<str>,
    pub(super) key: Box<str>,
    pub(super) id: String,
    /// How long its body is, in bytes.
    pub(super) length: usize,
}

impl Sent {
    fn is(&self, returned: &BasicReturnMessage) -> bool {
        let id = returned.properties.message_id().as_ref();
        *self.exchange == *returned.exchange.as_str()
            && *self.key == *returned.routing_key.as_str()
            && id.is_some_and(|id| id.as_str() == self.id)
    }
}

/// What was heard of a message, if anything was in time.
pub(super) type Heard = Option<Result<Confirmation, Error>>;

/// The verdicts on all messages that were sent by one channel to one exchange.
///
/// A returned message comes before its confirm, but the client gives it to
/// whichever confirm comes next. So a return is known by what it says, not by
/// the confirm that it comes with. A confirm without a return says that there
/// is none that was not seen; one with the return of another message does so
/// only when all confirms are there.
pub(super) fn verdicts(sent: &[Sent], heard: &[Heard]) -> Vec<Verdict> {
    let returns: Vec<_> = heard.iter().filter_map(returned).collect();
    let is_complete = heard.iter().all(|heard| matches!(heard, Some(Ok(_))));
    let refusal = heard.iter().find_map(refusal);
    let none_acked = !heard.iter().any(is_ack);
    let unanswered = sent
        .iter()
        .zip(heard)
        .filter(|(_, heard)| !is_answer(heard));
    let largest = unanswered.map(|(sent, _)| sent.length).max();
    let verdict = |(sent, heard): (&Sent, &Heard)| {
        if let Some(returned) = returns.iter().find(|returned| sent.is(returned)) {
            let Sent { exchange, key, .. } = sent;
            let text = returned.reply_text.as_str();
            return Verdict::rejected(
                Class::Unroutable,
                format_args!("{text}: the exchange {exchange:?} has no queue for {key:?}"),
            );
        }
        match heard {
            Some(Ok(Confirmation::Ack(other))) if other.is_none() || is_complete => Verdict::Acked,
            Some(Ok(Confirmation::Nack(_))) => {
                Verdict::rejected(Class::Transient, "a queue did not take it: it may be full")
            }
            Some(Ok(_)) => Verdict::Unknown,
            None | Some(Err(_)) => match &refusal {
                Some(Refusal::Exchange(class, why)) if none_acked => Verdict::rejected(*class, why),
                Some(Refusal::TooLarge(why)) if Some(sent.length) == largest => {
                    Verdict::rejected(Class::TooLarge, why)
                }
                _ => Verdict::Unknown,
            },
        }
    };
    sent.iter().zip(heard).map(verdict).collect()
}

fn returned(heard: &Heard) -> Option<&BasicReturnMessage> {
    match heard {
        Some(Ok(Confirmation::Ack(returned) | Confirmation::Nack(returned))) => returned.as_ref(),
        _ => None,
    }
}

fn is_answer(heard: &Heard) -> bool {
    matches!(heard, Some(Ok(_)))
}

fn is_ack(heard: &Heard) -> bool {
    matches!(heard, Some(Ok(Confirmation::Ack(_))))
}

/// Why a server closed a channel by which messages were published.
#[derive(Clone, Debug)]
enum Refusal {
    /// Nothing can be published to the exchange.
    Exchange(Class, Box<str>),
    /// One of the messages is too large: the largest, if another is.
    TooLarge(Box<str>),
}

fn refusal(heard: &Heard) -> Option<Refusal> {
    let Some(Err(error)) = heard else {
        return None;
    };
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return None;
    };
    let why = error.get_message().as_str();
    match error.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => {
            Some(Refusal::Exchange(Class::Unroutable, why.into()))
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            Some(Refusal::Exchange(Class::Transient, why.into()))
        }
        AMQPErrorKind::Soft(AMQPSoftError::CONTENTTOOLARGE) => Some(Refusal::TooLarge(why.into())),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) if why.contains("size") => {
            Some(Refusal::TooLarge(why.into()))
        }
        _ => None,
    }
}
