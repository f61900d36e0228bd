//! Schedules of attempts that read one body at once, over threads: `cargo
//! xtask test --only shuttle`.
#![cfg(axiomatic_shuttle)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axiomatic_http::ReplayBody;
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use shuttle::sync::{Arc, Mutex};
use shuttle::{future, thread};

const FRAMES: [&str; 3] = ["one ", "two ", "three"];

/// An original that another thread fills. It wakes the last one who polled
/// it, and nobody else.
#[derive(Default)]
struct Pipe {
    frames: VecDeque<&'static str>,
    is_closed: bool,
    waker: Option<Waker>,
}

#[derive(Clone, Default)]
struct Original(Arc<Mutex<Pipe>>);

impl Original {
    fn fill(&self) {
        for frame in FRAMES {
            self.with(|pipe| pipe.frames.push_back(frame));
        }
        self.with(|pipe| pipe.is_closed = true);
    }

    fn with(&self, change: impl FnOnce(&mut Pipe)) {
        let waker = {
            let mut pipe = self.0.lock().unwrap();
            change(&mut pipe);
            pipe.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, Infallible>>>;

impl Body for Original {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let mut pipe = self.0.lock().unwrap();
        match pipe.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame.into())))),
            None if pipe.is_closed => Poll::Ready(None),
            None => {
                pipe.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Who reads the body to its end, on a thread of its own.
fn read<B>(body: B) -> thread::JoinHandle<()>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Debug,
{
    thread::spawn(move || {
        let read = future::block_on(body.collect()).unwrap();
        assert_eq!(read.to_bytes(), FRAMES.concat());
    })
}

#[test]
fn no_schedule_leaves_a_reader_asleep() {
    shuttle::check_random(
        || {
            let original = Original::default();
            let first = ReplayBody::new(original.clone(), 1 << 10);
            let second = first.again().unwrap();
            let readers = [read(first), read(second)];
            original.fill();
            for reader in readers {
                reader.join().unwrap();
            }
        },
        20_000,
    );
}

/// Nobody is there to wake it but the original, while a spare waits for a
/// failure.
#[test]
fn no_schedule_leaves_the_only_reader_asleep() {
    shuttle::check_random(
        || {
            let original = Original::default();
            let first = ReplayBody::new(original.clone(), 1 << 10);
            let spare = first.again().unwrap();
            let reader = read(first);
            original.fill();
            reader.join().unwrap();
            drop(spare);
        },
        20_000,
    );
}

/// One of three is dropped, whenever that is.
#[test]
fn no_schedule_leaves_a_reader_asleep_that_another_left() {
    shuttle::check_random(
        || {
            let original = Original::default();
            let mut first = ReplayBody::new(original.clone(), 1 << 10);
            let (second, third) = (first.again().unwrap(), first.again().unwrap());
            let readers = [read(second), read(third)];
            let leaver = thread::spawn(move || {
                let mut context = Context::from_waker(Waker::noop());
                let _ = Pin::new(&mut first).poll_frame(&mut context);
            });
            original.fill();
            leaver.join().unwrap();
            for reader in readers {
                reader.join().unwrap();
            }
        },
        20_000,
    );
}

/// What a careless shared body does: each polls the original as itself.
struct Careless {
    shared: Arc<Mutex<(Original, Vec<Bytes>)>>,
    at: usize,
}

impl Body for Careless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let shared = Arc::clone(&self.shared);
        let (original, kept) = &mut *shared.lock().unwrap();
        if self.at == kept.len() {
            match Pin::new(original).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => kept.push(frame.into_data().unwrap()),
                other => return other,
            }
        }
        self.at += 1;
        Poll::Ready(Some(Ok(Frame::data(kept[self.at - 1].clone()))))
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_planted_lost_wake_up_is_found() {
    shuttle::check_random(
        || {
            let original = Original::default();
            let shared = Arc::new(Mutex::new((original.clone(), Vec::new())));
            let readers = [(); 2].map(|()| {
                let shared = Arc::clone(&shared);
                read(Careless { shared, at: 0 })
            });
            original.fill();
            for reader in readers {
                reader.join().unwrap();
            }
        },
        20_000,
    );
}
