use axiomatic_core::Context;
use axiomatic_core::context::Repeatability;
use axiomatic_core::repeat::Repeat;
use http::{HeaderName, Request};
use http_body::Body;

use crate::ReplayBody;

/// The field by which a request that is not idempotent says that its server
/// will not do it twice.
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Repeats what HTTP says may be repeated: the [rule](Repeat) for retries and
/// hedges of HTTP requests.
///
/// | A request | Is repeated |
/// |---|---|
/// | whose context says [`Once`](Repeatability::Once) | no |
/// | whose context says [`Repeatable`](Repeatability::Repeatable) | yes |
/// | `GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE` | yes: idempotent by RFC 9110, 9.2.2 |
/// | with an `Idempotency-Key` | yes: its server will not do it twice |
/// | any other | no |
///
/// What the context says goes first, since methods are only as idempotent as
/// whoever wrote the handler made them. gRPC posts everything, so there it is
/// the context alone that counts.
///
/// ```
/// use axiomatic_core::Context;
/// use axiomatic_core::context::Repeatability;
/// use axiomatic_core::repeat::Repeat;
/// use axiomatic_http::WhenIdempotent;
/// use http::Request;
///
/// let charge = Request::post("/charges").body("12.50")?;
/// let context = Context::default();
/// assert!(WhenIdempotent.repeat(&context, &charge).is_none());
///
/// let keyed = Request::post("/charges")
///     .header("Idempotency-Key", "\"8e03978e\"")
///     .body("12.50")?;
/// assert!(WhenIdempotent.repeat(&context, &keyed).is_some());
///
/// let declared = context.with_repeatability(Repeatability::Repeatable);
/// assert!(WhenIdempotent.repeat(&declared, &charge).is_some());
/// # Ok::<(), http::Error>(())
/// ```
///
/// # Bodies
///
/// The second request is a clone, with its extensions, where the body can be
/// cloned. A [`ReplayBody`] is one that cannot, and is repeated as far as it
/// was kept: [`replay`](crate::replay) says what this rule then asks of
/// whoever repeats.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct WhenIdempotent;

impl WhenIdempotent {
    fn may_repeat<B>(context: &Context, request: &Request<B>) -> bool {
        match context.repeatability() {
            Repeatability::Repeatable => true,
            Repeatability::Once => false,
            Repeatability::Undeclared => {
                let key = request.headers().get(&IDEMPOTENCY_KEY);
                request.method().is_idempotent() || key.is_some_and(|key| !key.is_empty())
            }
        }
    }
}

impl<B: Clone> Repeat<Request<B>> for WhenIdempotent {
    fn repeat(&self, context: &Context, request: &Request<B>) -> Option<Request<B>> {
        self.allows(context, request).then(|| request.clone())
    }

    fn allows(&self, context: &Context, request: &Request<B>) -> bool {
        WhenIdempotent::may_repeat(context, request)
    }
}

impl<B: Body> Repeat<Request<ReplayBody<B>>> for WhenIdempotent {
    fn repeat(
        &self,
        context: &Context,
        request: &Request<ReplayBody<B>>,
    ) -> Option<Request<ReplayBody<B>>> {
        if !WhenIdempotent::may_repeat(context, request) {
            return None;
        }
        let mut again = Request::new(request.body().again()?);
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.version_mut() = request.version();
        *again.headers_mut() = request.headers().clone();
        *again.extensions_mut() = request.extensions().clone();
        Some(again)
    }

    fn allows(&self, context: &Context, request: &Request<ReplayBody<B>>) -> bool {
        WhenIdempotent::may_repeat(context, request) && request.body().is_intact()
    }

    fn is_intact(&self, request: &Request<ReplayBody<B>>) -> bool {
        request.body().is_intact()
    }
}
