//! A shedding layer.

use std::task::{Context, Poll};

use axiomatic_contract::{Request, Response};
use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
use tower_layer::Layer;
use tower_service::Service;

use super::Flaw;
use super::gate::GateFuture;

#[derive(Clone)]
pub(crate) struct ShedLayer {
    pub(crate) flaw: Option<Flaw>,
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Shed<S> {
        Shed {
            inner,
            readied: false,
            flaw: self.flaw,
        }
    }
}

pub(crate) struct Shed<S> {
    inner: S,
    readied: bool,
    flaw: Option<Flaw>,
}

impl<S: Clone> Clone for Shed<S> {
    fn clone(&self) -> Self {
        ShedLayer { flaw: self.flaw }.layer(self.inner.clone())
    }
}

impl<S> Service<Request> for Shed<S>
where
    S: Service<Request, Response = Response> + Clone,
    S::Error: Into<BoxError> + std::fmt::Display,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = BoxError;
    type Future = GateFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.readied = match self.inner.poll_ready(cx) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            ready => ready.is_ready(),
        };
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !std::mem::take(&mut self.readied) {
            if self.flaw != Some(Flaw::KeepsItsPlace) {
                self.inner = self.inner.clone();
            }
            return GateFuture::refused(
                Rejected::new(Pattern::LoadShedder, Reason::Shed).into(),
                None,
            );
        }
        let mut future = GateFuture::refused("".into(), None);
        future.refused = None;
        future.inner = Some(Box::pin(self.inner.call(request)));
        future
    }
}
