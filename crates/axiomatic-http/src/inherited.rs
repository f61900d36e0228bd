use std::convert::Infallible;

use axiomatic_core::Context;
use axum_core::extract::FromRequestParts;
use http::request::Parts;

use crate::binding;

/// What a handler's calls inherit from its request: the [child](Context::child)
/// of the request's context.
///
/// An extractor for axum, which cannot fail. What the handler sends is to
/// carry it:
///
/// ```
/// use axiomatic_http::Inherited;
/// use axum::{Router, routing::get};
/// use http::Request;
///
/// async fn price(Inherited(context): Inherited) -> String {
///     let call = Request::get("http://stock/7").extension(context).body(());
///     // … which a client's layers read, and OutboundLayer writes.
/// #   call.expect("a request");
///     String::from("12.50")
/// }
/// let app: Router = Router::new()
///     .route("/price", get(price))
///     .layer(axiomatic_http::InboundLayer::new());
/// # let _ = app;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited(pub Context);

impl<S: Sync> FromRequestParts<S> for Inherited {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Inherited(binding::context(&parts.extensions).child()))
    }
}
