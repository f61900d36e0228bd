use axiomatic_core::Outcome;
use http::HeaderMap;

/// Decides what became of a call whose body has ended, or broken.
///
/// `head` is what the head was worth. The end is the trailers, if there were
/// any, or the body's error. A closure is one; its arguments have to be
/// annotated.
pub trait ClassifyEnd<E> {
    /// Whether the trailers may change the verdict. Only if not, a body of
    /// which all content has come is over when it is dropped.
    const READS_TRAILERS: bool = true;

    /// The outcome of the call.
    fn classify_end(&self, head: Outcome, end: Result<Option<&HeaderMap>, &E>) -> Outcome;
}

impl<F, E> ClassifyEnd<E> for F
where
    F: Fn(Outcome, Result<Option<&HeaderMap>, &E>) -> Outcome,
{
    #[inline]
    fn classify_end(&self, head: Outcome, end: Result<Option<&HeaderMap>, &E>) -> Outcome {
        self(head, end)
    }
}

/// A body that ends leaves the verdict to the head; one that breaks is
/// transient.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ByHead;

impl<E> ClassifyEnd<E> for ByHead {
    const READS_TRAILERS: bool = false;

    #[inline]
    fn classify_end(&self, head: Outcome, end: Result<Option<&HeaderMap>, &E>) -> Outcome {
        match end {
            Ok(_) => head,
            Err(_) => Outcome::Transient,
        }
    }
}
