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

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::BasicProperties;
    use lapin::message::Delivery;
    use lapin::protocol::AMQPError;

    fn sent(id: &str, length: usize) -> Sent {
        Sent {
            exchange: "e".into(),
            key: "k".into(),
            id: id.to_owned(),
            length,
        }
    }

    fn the_return_of(id: &str) -> Option<BasicReturnMessage> {
        let mut delivery = Delivery::mock(0, "e".into(), "k".into(), false, vec![]);
        delivery.properties = BasicProperties::default().with_message_id(id.into());
        Some(BasicReturnMessage {
            delivery,
            reply_code: 312,
            reply_text: "NO_ROUTE".into(),
        })
    }

    fn ack(returned: Option<BasicReturnMessage>) -> Heard {
        Some(Ok(Confirmation::Ack(returned)))
    }

    fn closed(code: u16, why: &str) -> Heard {
        let error = AMQPError::from_id(code, why.into()).expect("a code");
        Some(Err(ErrorKind::ProtocolError(error).into()))
    }

    /// In short: what became of messages `a`, `b` and so on, of 1, 2 and so
    /// on bytes.
    fn said(heard: &[Heard]) -> Vec<&'static str> {
        let ids = ["a", "b", "c", "d"].into_iter().zip(1..);
        let sent: Vec<_> = ids
            .take(heard.len())
            .map(|(id, length)| sent(id, length))
            .collect();
        let short = |verdict: Verdict| match verdict {
            Verdict::Rejected { class, .. } => class.as_str(),
            Verdict::Acked => "acked",
            Verdict::Duplicate => "duplicate",
            Verdict::Unknown => "unknown",
        };
        verdicts(&sent, heard).into_iter().map(short).collect()
    }

    #[test]
    fn every_row_of_the_table_of_answers_holds() {
        let nack = || Some(Ok(Confirmation::Nack(None)));
        let odd = || Some(Ok(Confirmation::NotRequested));
        assert_eq!(said(&[ack(None)]), ["acked"]);
        assert_eq!(said(&[nack(), ack(None)]), ["transient", "acked"]);
        assert_eq!(said(&[ack(the_return_of("a"))]), ["unroutable"]);
        assert_eq!(
            said(&[None, ack(None), odd()]),
            ["unknown", "acked", "unknown"]
        );
        let missing = || closed(404, "NOT_FOUND - no exchange 'e'");
        assert_eq!(said(&[missing(), missing()]), ["unroutable"; 2]);
        assert_eq!(said(&[ack(None), missing()]), ["acked", "unknown"]);
        let refused = || closed(403, "ACCESS_REFUSED - write access");
        assert_eq!(said(&[refused(), refused()]), ["transient"; 2]);
        for large in [
            || closed(406, "PRECONDITION_FAILED - message size 3 is larger"),
            || closed(311, "CONTENT_TOO_LARGE"),
        ] {
            let heard = [large(), ack(None), large(), None];
            assert_eq!(said(&heard[..3]), ["unknown", "acked", "too large"]);
            assert_eq!(said(&heard), ["unknown", "acked", "unknown", "too large"]);
        }
        let other = || closed(406, "PRECONDITION_FAILED - something");
        assert_eq!(said(&[other(), other()]), ["unknown"; 2]);
        let connection = || closed(320, "CONNECTION_FORCED");
        assert_eq!(said(&[connection(), ack(None)]), ["unknown", "acked"]);
    }

    #[test]
    fn a_return_is_of_the_message_that_it_names_whichever_confirm_it_comes_with() {
        let mixed = [ack(the_return_of("c")), ack(None), ack(the_return_of("a"))];
        assert_eq!(said(&mixed), ["unroutable", "acked", "unroutable"]);
        let later = [ack(the_return_of("b")), None];
        assert_eq!(said(&later), ["unknown", "unroutable"]);
    }

    #[test]
    fn a_confirm_with_the_return_of_another_says_nothing_while_confirms_are_missing() {
        // The return of `b` may wait in the client for the confirm that is
        // missing.
        let missing = [ack(the_return_of("c")), ack(the_return_of("a")), None];
        assert_eq!(said(&missing), ["unroutable", "unknown", "unroutable"]);
    }
}
