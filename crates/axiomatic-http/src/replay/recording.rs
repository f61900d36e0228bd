use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

#[cfg(axiomatic_shuttle)]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(axiomatic_shuttle))]
pub(super) use std::sync::{Mutex, MutexGuard};

use axiomatic_core::BoxError;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::ReplayError;
use super::wakers::Wakers;

/// What a frame counts as at least: a handle to its bytes, and its share of
/// what an allocator adds. Without it, a body of single bytes could have the
/// cap many times over.
pub const FRAME: usize = 64;

/// An original body, and what was read of it, for all attempts to send it.
pub(super) struct Recording<B> {
    cap: usize,
    length: SizeHint,
    /// Counted by themselves, because a waker has to be `'static`.
    wakers: Arc<Wakers>,
    /// Held for a step, never while the original is polled: it is somebody
    /// else's code.
    state: Mutex<State<B>>,
}

struct State<B> {
    source: Source<B>,
    /// The data that came, while it is kept.
    kept: Vec<Bytes>,
    is_kept: bool,
    /// How many frames of data came.
    frames: usize,
    /// What they weigh; above the cap, no more is kept.
    weight: usize,
    /// The next reader's number.
    begun: u64,
    /// Those that have begun and were not dropped, in that order.
    readers: Vec<u64>,
}

/// Where what was not read yet comes from.
enum Source<B> {
    Idle(B),
    /// A reader polls it, on another thread.
    Polled,
    /// With its trailers, if it had any.
    Ended(Option<HeaderMap>),
    Broken,
}

/// How far one attempt has come.
#[derive(Default)]
pub(super) struct Reader {
    /// From its first poll on.
    number: Option<u64>,
    /// Frames of data that it was given.
    frames: usize,
    has_trailers: bool,
    /// Whether it was given all there is.
    pub(super) is_at_end: bool,
    /// It was told that it is.
    is_over: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, ReplayError>>>;

enum Step<B> {
    Give(Frame<Bytes>),
    End,
    Fail(ReplayError),
    /// Somebody else polls the original.
    Wait(u64),
    Poll(u64, B),
}

impl<B> Recording<B> {
    pub(super) fn new(body: B, length: SizeHint, cap: usize) -> Self {
        Recording {
            cap,
            length,
            wakers: Arc::default(),
            state: Mutex::new(State {
                source: Source::Idle(body),
                kept: Vec::new(),
                is_kept: true,
                frames: 0,
                weight: 0,
                begun: 0,
                readers: Vec::new(),
            }),
        }
    }

    /// What the original said of its length.
    pub(super) fn length(&self) -> SizeHint {
        self.length
    }

    /// Whether a reader that begins now would get everything, as far as can
    /// be told.
    pub(super) fn is_intact(&self) -> bool {
        let state = self.lock();
        state.is_kept && state.weight <= self.cap && !matches!(state.source, Source::Broken)
    }

    /// Forgets a reader.
    pub(super) fn leave(&self, reader: &Reader) {
        if let Some(number) = reader.number {
            self.lock().readers.retain(|reader| *reader != number);
            self.wakers.remove(number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Recording<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// The next frame for this reader. `is_alone` says that no other attempt
    /// is there, nor can come.
    pub(super) fn poll(&self, reader: &mut Reader, is_alone: bool, cx: &mut Context<'_>) -> Polled {
        if reader.is_over {
            return Poll::Ready(None);
        }
        loop {
            let step = self.lock().step(reader, self.cap, is_alone);
            return match step {
                Step::Give(frame) => Poll::Ready(Some(Ok(frame))),
                Step::End => reader.over(None),
                Step::Fail(error) => reader.over(Some(error)),
                Step::Poll(number, source) => self.poll_source(number, source, reader, cx),
                Step::Wait(number) => {
                    self.wakers.register(number, cx.waker());
                    // Who polls it wakes all who are registered after it put
                    // it back; had it done so before, we would sleep on.
                    if !matches!(self.lock().source, Source::Polled) {
                        continue;
                    }
                    Poll::Pending
                }
            };
        }
    }

    fn poll_source(
        &self,
        number: u64,
        mut source: B,
        reader: &mut Reader,
        cx: &mut Context<'_>,
    ) -> Polled {
        let unwinding = Unwinding {
            recording: self,
            number,
        };
        self.wakers.register(number, cx.waker());
        let all = Waker::from(Arc::clone(&self.wakers));
        let polled = Pin::new(&mut source).poll_frame(&mut Context::from_waker(&all));
        let frame = match polled {
            Poll::Pending => {
                self.lock().source = Source::Idle(source);
                mem::forget(unwinding);
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(frame))) => Some(Ok(
                frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
            )),
            Poll::Ready(Some(Err(error))) => Some(Err(ReplayError::Body(error.into()))),
            Poll::Ready(None) => None,
        };
        let next = match &frame {
            Some(Ok(frame)) if frame.is_trailers() => {
                reader.has_trailers = true;
                Source::Ended(frame.trailers_ref().cloned())
            }
            Some(Ok(_)) if source.is_end_stream() => Source::Ended(None),
            Some(Ok(_)) => Source::Idle(source),
            Some(Err(_)) => Source::Broken,
            None => Source::Ended(None),
        };
        mem::forget(unwinding);
        reader.is_at_end = matches!(next, Source::Ended(_));
        {
            let mut state = self.lock();
            state.source = next;
            if let Some(Ok(frame)) = &frame {
                state.arrived(frame, reader, number, self.cap);
            }
        }
        self.wakers.wake_others(number);
        match frame {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => reader.over(Some(error)),
            None => reader.over(None),
        }
    }
}

impl<B> State<B> {
    fn step(&mut self, reader: &mut Reader, cap: usize, is_alone: bool) -> Step<B> {
        let number = match reader.number {
            Some(number) => number,
            None => self.begin(reader),
        };
        if reader.frames < self.frames {
            let Some(data) = self.kept.get(reader.frames).cloned() else {
                return Step::Fail(ReplayError::Outgrown);
            };
            reader.frames += 1;
            reader.is_at_end =
                reader.frames == self.frames && matches!(self.source, Source::Ended(None));
            return Step::Give(Frame::data(data));
        }
        match &mut self.source {
            Source::Idle(_) => {}
            Source::Polled => return Step::Wait(number),
            Source::Ended(Some(trailers)) if !reader.has_trailers => {
                reader.has_trailers = true;
                reader.is_at_end = true;
                return Step::Give(Frame::trailers(trailers.clone()));
            }
            Source::Ended(_) => return Step::End,
            Source::Broken => return Step::Fail(ReplayError::Broken),
        }
        let has_outgrown = self.weight > cap;
        if has_outgrown && self.readers.last() != Some(&number) {
            return Step::Fail(ReplayError::Superseded);
        }
        if has_outgrown || is_alone {
            self.let_go();
        }
        match mem::replace(&mut self.source, Source::Polled) {
            Source::Idle(source) => Step::Poll(number, source),
            _ => unreachable!("it was idle, under this lock"),
        }
    }

    fn begin(&mut self, reader: &mut Reader) -> u64 {
        let number = self.begun;
        self.begun += 1;
        self.readers.push(number);
        reader.number = Some(number);
        number
    }

    /// A frame came, and this reader, which is at the end of what came
    /// before, gets it.
    fn arrived(&mut self, frame: &Frame<Bytes>, reader: &mut Reader, number: u64, cap: usize) {
        let Some(data) = frame.data_ref() else {
            if !frame.is_trailers() {
                // A kind of frame that is not known here cannot be kept.
                self.let_go();
            }
            return;
        };
        if data.is_empty() {
            return;
        }
        self.frames += 1;
        reader.frames = self.frames;
        self.weight = self.weight.saturating_add(data.len().max(FRAME));
        if self.weight > cap && self.readers.last() == Some(&number) {
            self.let_go();
        } else if self.is_kept {
            // One frame too much, if it does not fit, for the reader that
            // began later and has the right of way.
            self.kept.push(data.clone());
        }
    }

    fn let_go(&mut self) {
        self.is_kept = false;
        self.kept = Vec::new();
    }
}

impl Reader {
    fn over(&mut self, error: Option<ReplayError>) -> Polled {
        self.is_over = true;
        self.is_at_end = true;
        Poll::Ready(error.map(Err))
    }
}

/// Marks the original as broken if its poll panics, and it is lost.
struct Unwinding<'r, B> {
    recording: &'r Recording<B>,
    number: u64,
}

impl<B> Drop for Unwinding<'_, B> {
    fn drop(&mut self) {
        self.recording.lock().source = Source::Broken;
        self.recording.wakers.wake_others(self.number);
    }
}
