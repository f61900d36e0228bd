//! What the server's answer means.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use axiomatic_coordination::outbox::{Class, Verdict};

/// The verdict that an answer to a publication is.
pub(super) fn verdict(answer: &[u8]) -> Verdict {
    match serde_json::from_slice::<Response<PublishAck>>(answer) {
        Ok(Response::Ok(ack)) if ack.duplicate => Verdict::Duplicate,
        Ok(Response::Ok(_)) => Verdict::Acked,
        Ok(Response::Err { error }) => match class(error.error_code()) {
            Some(class) => Verdict::rejected(class, error),
            None => Verdict::Unknown,
        },
        // Somebody else subscribes to the subject and answers first.
        Err(error) => Verdict::rejected(
            Class::Transient,
            format_args!("the answer is not JetStream's: {error}"),
        ),
    }
}

/// The class of a refusal: the table of [the module](super), and `Transient`
/// for what is not in it, since what is never given up too early can be given
/// up later. Nothing if the message may be in the stream.
fn class(code: ErrorCode) -> Option<Class> {
    Some(match code {
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => {
            Class::TooLarge
        }
        ErrorCode::STREAM_SEALED
        | ErrorCode::STREAM_NOT_MATCH
        | ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID
        | ErrorCode::STREAM_WRONG_LAST_SEQUENCE
        | ErrorCode::STREAM_ROLLUP_FAILED
        | ErrorCode::MESSAGE_TTL_INVALID
        | ErrorCode::MESSAGE_TTL_DISABLED
        | ErrorCode::MESSAGE_INCR_MISSING
        | ErrorCode::MESSAGE_INCR_PAYLOAD => Class::Permanent,
        ErrorCode::STREAM_NOT_FOUND => Class::Unroutable,
        // The same id is on its way into the stream.
        ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT => return None,
        _ => Class::Transient,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u64) -> Verdict {
        let answer = format!(
            r#"{{"error":{{"code":503,"err_code":{code},"description":"no"}},"stream":"S","seq":0}}"#
        );
        verdict(answer.as_bytes())
    }

    #[test]
    fn every_row_of_the_table_of_errors_holds() {
        for (class, codes) in [
            (
                Class::Transient,
                &[10077, 10023, 10047, 10028, 10002, 10008, 10118, 10167, 99][..],
            ),
            (Class::TooLarge, &[10054, 10097]),
            (
                Class::Permanent,
                &[
                    10109, 10060, 10070, 10071, 10111, 10165, 10166, 10169, 10170,
                ],
            ),
            (Class::Unroutable, &[10059]),
        ] {
            for code in codes {
                let Verdict::Rejected { class: found, .. } = refused(*code) else {
                    panic!("{code} is a refusal");
                };
                assert_eq!(found, class, "{code}");
            }
        }
        assert_eq!(refused(10158), Verdict::Unknown);
    }

    #[test]
    fn only_an_acknowledgement_is_a_confirmation() {
        assert_eq!(verdict(br#"{"stream":"S","seq":1}"#), Verdict::Acked);
        let again = br#"{"stream":"S","seq":1,"duplicate":true}"#;
        assert_eq!(verdict(again), Verdict::Duplicate);
        for other in [&b""[..], b"ok", b"{}", b"+OK", b"[]", br#"{"seq":1}"#] {
            let verdict = verdict(other);
            assert!(matches!(verdict, Verdict::Rejected { .. }), "{verdict:?}");
        }
    }
}
