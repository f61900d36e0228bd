//! What an error says of making its call again.

use std::error::Error;
use std::io;

use axiomatic_core::context::Endpoint;
use axiomatic_core::{Advice, Refusable};
use http::Response;

/// Which instance answered, if whoever chose it said so.
pub(crate) fn endpoint<B, E>(result: Result<&Response<B>, &E>) -> Option<Endpoint> {
    result.ok()?.extensions().get().copied()
}

/// What an error asks of whoever would repeat its call.
pub(crate) fn of_error<E: Refusable>(error: &E) -> Advice {
    let mut next = error.as_error();
    while let Some(error) = next {
        if is_unsent(error) {
            return Advice::Unsent;
        }
        next = cause(error);
    }
    Advice::ByOutcome
}

fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.kind() == io::ErrorKind::ConnectionRefused;
    }
    #[cfg(feature = "h2")]
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return is_refused_stream(error);
    }
    false
}

/// Both are promises of the other side that it did not touch the stream
/// (RFC 9113, 6.8 and 8.7), so only what came from there counts: h2 makes
/// errors of the same kinds itself.
///
/// A stream gets the error of a GOAWAY in two cases: its number is above the
/// last one that the frame names, or the frame had come before the stream
/// was opened, and it never was. Streams up to the last number go on, and
/// die of something else, if they do. The reason has to be `NO_ERROR`, a
/// server that is going away; the promise holds for all reasons, but one who
/// says `ENHANCE_YOUR_CALM` should not be asked again free of charge.
#[cfg(feature = "h2")]
fn is_refused_stream(error: &h2::Error) -> bool {
    let is_promise = match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => error.is_reset(),
        Some(h2::Reason::NO_ERROR) => error.is_go_away(),
        _ => false,
    };
    is_promise && error.is_remote()
}

/// The next error of the chain. `io::Error` leaves out what it wraps: its
/// source is that error's source.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
    use std::fmt;

    #[derive(Debug)]
    struct Because(BoxError);

    impl fmt::Display for Because {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("because")
        }
    }

    impl Error for Because {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    fn advice(error: impl Into<BoxError>) -> Advice {
        of_error(&error.into())
    }

    #[test]
    fn a_refused_connection_is_found_however_deep() {
        assert_eq!(of_error(&refused()), Advice::Unsent);
        assert_eq!(advice(refused()), Advice::Unsent);
        assert_eq!(advice(Because(refused().into())), Advice::Unsent);
        let twice = Because(Because(refused().into()).into());
        assert_eq!(advice(twice), Advice::Unsent);
        // An I/O error does not count what it wraps among its sources.
        assert_eq!(advice(io::Error::other(refused())), Advice::Unsent);
        let wrapped = Because(io::Error::other(Because(refused().into())).into());
        assert_eq!(advice(wrapped), Advice::Unsent);
    }

    #[test]
    fn an_error_after_the_connection_was_made_is_not_unsent() {
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof,
        ] {
            assert_eq!(advice(io::Error::from(kind)), Advice::ByOutcome, "{kind}");
        }
        assert_eq!(advice("connection refused"), Advice::ByOutcome);
        let rejected = Rejected::new(Pattern::CircuitBreaker, Reason::Open);
        assert_eq!(advice(rejected), Advice::ByOutcome);
        assert_eq!(of_error(&rejected), Advice::ByOutcome);
    }

    /// What h2 makes itself is no promise of the other side.
    #[cfg(feature = "h2")]
    #[test]
    fn a_reason_alone_is_no_refused_stream() {
        for reason in [h2::Reason::REFUSED_STREAM, h2::Reason::NO_ERROR] {
            assert_eq!(advice(h2::Error::from(reason)), Advice::ByOutcome);
        }
    }
}
