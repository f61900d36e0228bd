use std::convert::Infallible;
use std::error::Error;
use std::io;

use super::{BoxError, Reason, Rejected};

/// The error type of a layer: one that can be made from a rejection and asked
/// whether it is one.
///
/// Core implements it for [`Rejected`], [`BoxError`] and [`io::Error`]. For a
/// type of your own, a typed stack then refuses without allocating:
///
/// ```
/// use axiomatic_core::{Refusable, Rejected};
///
/// enum PaymentError {
///     Rejected(Rejected),
///     Declined,
/// }
/// impl From<Rejected> for PaymentError {
///     fn from(rejected: Rejected) -> Self {
///         PaymentError::Rejected(rejected)
///     }
/// }
/// impl Refusable for PaymentError {
///     fn rejected(&self) -> Option<Rejected> {
///         match self {
///             PaymentError::Rejected(rejected) => Some(*rejected),
///             PaymentError::Declined => None,
///         }
///     }
/// }
/// ```
///
/// # One error type for a stack
///
/// The layers of a stack share one error type: all boxed, or all typed. A
/// [`BoxError`] answers for what is in the box itself, a [`Rejected`] or an
/// [`io::Error`] that holds one. Not for a `PaymentError` in it, of which it
/// knows nothing, nor for the sources of one: a rejection there may be that of
/// a call which was made, or of another process.
///
/// So if a layer with boxed errors is put around one with `PaymentError`,
/// refusals of the inner one are failures to the outer one: a breaker there
/// counts them, a retry repeats them, and they are answered as any error is.
/// Give both one type, or turn refusals into boxed ones in between:
///
/// ```
/// use axiomatic_core::{BoxError, Refusable};
/// # use axiomatic_core::{Pattern, Reason, Rejected};
/// # #[derive(Debug)]
/// # struct PaymentError(Rejected);
/// # impl std::fmt::Display for PaymentError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) } }
/// # impl std::error::Error for PaymentError {}
/// # impl From<Rejected> for PaymentError { fn from(no: Rejected) -> Self { PaymentError(no) } }
/// # impl Refusable for PaymentError { fn rejected(&self) -> Option<Rejected> { Some(self.0) } }
/// // With `ServiceBuilder::map_err`, between the two layers:
/// fn boxed(error: PaymentError) -> BoxError {
///     match error.rejected() {
///         Some(rejected) => rejected.into(),
///         None => error.into(),
///     }
/// }
/// # let no = Rejected::new(Pattern::CircuitBreaker, Reason::Open);
/// # assert_eq!(boxed(no.into()).rejected(), Some(no));
/// # assert_eq!(BoxError::from(PaymentError(no)).rejected(), None);
/// ```
pub trait Refusable: From<Rejected> {
    /// The rejection that this error is. One further down its chain of
    /// sources is another layer's, behind a call that was made.
    fn rejected(&self) -> Option<Rejected>;

    /// The same error with its sources, for a binding that looks for what it
    /// knows in them, a refused connection for example. An error type of your
    /// own that says nothing here is taken as one that has none.
    fn as_error(&self) -> Option<&(dyn Error + 'static)> {
        None
    }
}

impl Refusable for Rejected {
    fn rejected(&self) -> Option<Rejected> {
        Some(*self)
    }

    fn as_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// Of what is in the box itself, and no error that caused it; see
/// [one error type for a stack](Refusable#one-error-type-for-a-stack).
impl Refusable for BoxError {
    fn rejected(&self) -> Option<Rejected> {
        match self.downcast_ref::<io::Error>() {
            Some(error) => error.rejected(),
            None => self.downcast_ref::<Rejected>().copied(),
        }
    }

    fn as_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self)
    }
}

impl Refusable for io::Error {
    fn rejected(&self) -> Option<Rejected> {
        self.get_ref()?.downcast_ref::<Rejected>().copied()
    }

    fn as_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// A rejection as an I/O error: `TimedOut` if time ran out, `ResourceBusy`
/// otherwise.
impl From<Rejected> for io::Error {
    fn from(rejected: Rejected) -> Self {
        let kind = match rejected.reason() {
            Reason::Elapsed | Reason::Expired => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ResourceBusy,
        };
        io::Error::new(kind, rejected)
    }
}

/// So that a layer over a service that cannot fail needs no adapter.
impl From<Infallible> for Rejected {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::{Name, Pattern};

    fn open() -> Rejected {
        Rejected::new(Pattern::CircuitBreaker, Reason::Open).with_name(Name::from("a"))
    }

    #[test]
    fn is_found_as_the_error_itself() {
        let boxed: BoxError = open().into();
        assert_eq!(boxed.rejected(), Some(open()));
        let as_io: io::Error = open().into();
        assert_eq!(as_io.rejected(), Some(open()));
        let io_in_box: BoxError = as_io.into();
        assert_eq!(io_in_box.rejected(), Some(open()));
    }

    #[test]
    fn a_rejection_further_down_is_the_failure_of_a_call_that_was_made() {
        #[derive(Debug)]
        struct ChargeFailed(Rejected);
        impl fmt::Display for ChargeFailed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the charge failed")
            }
        }
        impl Error for ChargeFailed {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let wrapped: BoxError = ChargeFailed(open()).into();
        assert_eq!(wrapped.rejected(), None);
    }

    #[test]
    fn another_error_is_no_rejection() {
        let boxed: BoxError = "broken".into();
        assert_eq!(boxed.rejected(), None);
        assert_eq!(io::Error::other("broken").rejected(), None);
        assert_eq!(io::Error::from(io::ErrorKind::NotFound).rejected(), None);
    }
}
