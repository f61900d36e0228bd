use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use axiomatic_core::BoxError;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::ReplayError;
use super::recording::{Mutex, MutexGuard, Reader, Recording};

/// A request body that can be sent [again](ReplayBody::again), as far as it
/// was kept. The [module](super) says what that means.
///
/// It reads an original that is `Unpin`; one that is not is boxed first, as
/// `http_body_util`'s `BoxBody` does.
pub struct ReplayBody<B> {
    /// Locked to make another one of it, before it is sent; a body that is
    /// polled has it for itself.
    origin: Mutex<Origin<B>>,
    cap: usize,
    /// The length of what is still to come, as the original announced it.
    rest: SizeHint,
    is_at_end: bool,
    was_polled: bool,
    reader: Reader,
}

enum Origin<B> {
    /// There is nothing in it.
    Empty,
    /// No other attempt was made of it: it passes through.
    Own(B),
    Shared(Arc<Recording<B>>),
}

impl<B: Body> ReplayBody<B> {
    /// Keeps up to `cap` bytes of this body, once it is to be sent again;
    /// [`UP_TO`](super::UP_TO) is a cap for whoever knows no better.
    pub fn new(body: B, cap: usize) -> Self {
        if body.is_end_stream() {
            return Self::empty(cap);
        }
        let length = body.size_hint();
        Self::from_start(Origin::Own(body), length, cap)
    }
}

impl<B> ReplayBody<B> {
    fn empty(cap: usize) -> Self {
        let mut empty = Self::from_start(Origin::Empty, SizeHint::with_exact(0), cap);
        empty.is_at_end = true;
        empty
    }

    fn from_start(origin: Origin<B>, length: SizeHint, cap: usize) -> Self {
        ReplayBody {
            origin: Mutex::new(origin),
            cap,
            rest: length,
            is_at_end: false,
            was_polled: false,
            reader: Reader::default(),
        }
    }

    /// The same body from its beginning; none if it cannot be had any more.
    ///
    /// Before anything is sent, that is if it says that it is longer than the
    /// cap. Of a body that was sent without another one having been made,
    /// nothing was kept.
    pub fn again(&self) -> Option<Self> {
        let mut origin = self.lock();
        let recording = match &*origin {
            Origin::Empty => return Some(Self::empty(self.cap)),
            Origin::Own(_) if !self.can_be_shared() => return None,
            Origin::Own(_) => {
                // The length is the whole one: nothing was read yet.
                match mem::replace(&mut *origin, Origin::Empty) {
                    Origin::Own(body) => Arc::new(Recording::new(body, self.rest, self.cap)),
                    _ => unreachable!("it was there, under this lock"),
                }
            }
            Origin::Shared(recording) if !recording.is_intact() => return None,
            Origin::Shared(recording) => Arc::clone(recording),
        };
        *origin = Origin::Shared(Arc::clone(&recording));
        let length = recording.length();
        Some(Self::from_start(
            Origin::Shared(recording),
            length,
            self.cap,
        ))
    }

    /// Whether all of it can still be had, from the beginning. To be asked of
    /// a body that was made by [`again`](ReplayBody::again), right before it
    /// is sent: by now the one before may have outgrown what is kept, or have
    /// broken.
    pub fn is_intact(&self) -> bool {
        match &*self.lock() {
            Origin::Empty => true,
            Origin::Own(_) => self.can_be_shared(),
            Origin::Shared(recording) => recording.is_intact(),
        }
    }

    fn can_be_shared(&self) -> bool {
        !self.was_polled && self.rest.lower() <= self.cap as u64
    }

    fn lock(&self) -> MutexGuard<'_, Origin<B>> {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So much of the announced length has come.
    fn came(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        let mut rest = SizeHint::new();
        // In this order, since the lower bound must not pass the upper one.
        if let Some(upper) = self.rest.upper() {
            rest.set_upper(upper.saturating_sub(bytes));
        }
        rest.set_lower(self.rest.lower().saturating_sub(bytes));
        self.rest = rest;
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = ReplayError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let this = self.get_mut();
        this.was_polled = true;
        let origin = this.origin.get_mut();
        let frame = match origin.unwrap_or_else(PoisonError::into_inner) {
            Origin::Empty => None,
            Origin::Own(body) => {
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                this.is_at_end = frame.is_none() || body.is_end_stream();
                frame.map(|frame| match frame {
                    Ok(frame) => {
                        Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                    }
                    Err(error) => Err(ReplayError::Body(error.into())),
                })
            }
            Origin::Shared(recording) => {
                // Another one could only be made of this one, and is not now.
                let is_alone = Arc::strong_count(recording) == 1;
                let frame = ready!(recording.poll(&mut this.reader, is_alone, cx));
                this.is_at_end = this.reader.is_at_end;
                frame
            }
        };
        if let Some(Ok(frame)) = &frame {
            this.came(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_at_end
    }

    fn size_hint(&self) -> SizeHint {
        self.rest
    }
}

impl<B> Drop for ReplayBody<B> {
    fn drop(&mut self) {
        let origin = self.origin.get_mut();
        if let Origin::Shared(recording) = origin.unwrap_or_else(PoisonError::into_inner) {
            recording.leave(&self.reader);
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field("rest", &self.rest)
            .field("is_at_end", &self.is_at_end)
            .field("is_intact", &self.is_intact())
            .finish_non_exhaustive()
    }
}
