//! Bodies that are read to their ends.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It does not say how long it is.
    UnknownLength,
    /// It is too long.
    TooLong,
    /// It broke off.
    BrokeOff,
}

/// A body that says how long it is, and is not too long. Trailers are dropped.
pub(super) async fn read<B: Body<Data = Bytes>>(body: B, at_most: usize) -> Result<Bytes, Unread> {
    let Some(length) = body.size_hint().exact() else {
        return Err(Unread::UnknownLength);
    };
    if length > at_most as u64 {
        return Err(Unread::TooLong);
    }
    let mut body = pin!(body);
    let mut whole = Bytes::new();
    let mut parts = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::BrokeOff)?.into_data() else {
            continue;
        };
        if whole.len() + parts.len() + data.len() > at_most {
            return Err(Unread::TooLong);
        }
        if whole.is_empty() && parts.is_empty() {
            // Most bodies are one piece, which need not be copied.
            whole = data;
        } else {
            if parts.is_empty() {
                parts.extend_from_slice(&std::mem::take(&mut whole));
            }
            parts.extend_from_slice(&data);
        }
    }
    Ok(if parts.is_empty() {
        whole
    } else {
        parts.freeze()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::{Frame, SizeHint};

    use super::*;

    struct Pieces(VecDeque<&'static str>, Option<u64>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = self.0.pop_front();
            Poll::Ready(piece.map(|piece| Ok(Frame::data(piece.into()))))
        }

        fn size_hint(&self) -> SizeHint {
            self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    #[tokio::test]
    async fn a_body_is_read_if_it_says_its_length_and_is_not_too_long() {
        let read = async |pieces: &[&'static str], says, at_most| {
            let pieces = pieces.iter().copied().collect();
            super::read(Pieces(pieces, says), at_most).await
        };
        assert_eq!(read(&[], Some(0), 0).await, Ok(Bytes::new()));
        assert_eq!(read(&["abc"], Some(3), 3).await, Ok("abc".into()));
        let pieces = ["a", "", "bc", "d"];
        assert_eq!(read(&pieces, Some(4), 4).await, Ok("abcd".into()));
        assert_eq!(read(&pieces, Some(4), 3).await, Err(Unread::TooLong));
        assert_eq!(read(&["a"], None, 3).await, Err(Unread::UnknownLength));
        // One that says what is not so.
        assert_eq!(read(&pieces, Some(1), 3).await, Err(Unread::TooLong));
    }
}
