//! What a client is told when its request was not run, as RFC 9457 has it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full};

use super::service::Answer;
use crate::idempotency::{Scope, StoredResponse};

/// Why a request was not run, or its answer not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    KeyMissing,
    KeyBad(String),
    TenantUnknown,
    ScopeTooLong,
    LengthRequired,
    TooLarge { at_most: usize },
    BodyUnreadable,
    InProgress,
    Mismatch,
    StoreUnavailable,
    NotStorable,
    ResponseFailed,
}

impl Problem {
    /// What it is called for ever.
    fn kind(&self) -> &'static str {
        match self {
            Problem::KeyMissing => "urn:axiomatic:idempotency:key-missing",
            Problem::KeyBad(_) => "urn:axiomatic:idempotency:key-bad",
            Problem::TenantUnknown => "urn:axiomatic:idempotency:tenant-unknown",
            Problem::ScopeTooLong => "urn:axiomatic:idempotency:scope-too-long",
            Problem::LengthRequired => "urn:axiomatic:idempotency:length-required",
            Problem::TooLarge { .. } => "urn:axiomatic:idempotency:request-too-large",
            Problem::BodyUnreadable => "urn:axiomatic:idempotency:body-unreadable",
            Problem::InProgress => "urn:axiomatic:idempotency:in-progress",
            Problem::Mismatch => "urn:axiomatic:idempotency:key-reused",
            Problem::StoreUnavailable => "urn:axiomatic:idempotency:store-unavailable",
            Problem::NotStorable => "urn:axiomatic:idempotency:response-not-storable",
            Problem::ResponseFailed => "urn:axiomatic:idempotency:response-failed",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Problem::KeyMissing
            | Problem::KeyBad(_)
            | Problem::TenantUnknown
            | Problem::BodyUnreadable => StatusCode::BAD_REQUEST,
            Problem::ScopeTooLong => StatusCode::URI_TOO_LONG,
            Problem::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Problem::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::InProgress => StatusCode::CONFLICT,
            Problem::Mismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Problem::NotStorable | Problem::ResponseFailed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Problem::KeyMissing => "The request has no Idempotency-Key",
            Problem::KeyBad(_) => "The Idempotency-Key cannot be read",
            Problem::TenantUnknown => "It is not known whose request this is",
            Problem::ScopeTooLong => "What the key belongs to has too long a name",
            Problem::LengthRequired => "The length of the body must be said",
            Problem::TooLarge { .. } => "The body is too long",
            Problem::BodyUnreadable => "The body did not come to its end",
            Problem::InProgress => "The request is being run",
            Problem::Mismatch => "The Idempotency-Key was used for another request",
            Problem::StoreUnavailable => "It cannot be known now what became of the request",
            Problem::NotStorable => "The answer is too long, or of unknown length",
            Problem::ResponseFailed => "The answer did not come to its end",
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Problem::KeyBad(why) => Some(why.clone()),
            Problem::TooLarge { at_most } => Some(format!("at most {at_most} bytes")),
            Problem::ScopeTooLong => Some(format!("at most {} bytes", Scope::LONGEST)),
            _ => None,
        }
    }

    /// When to come back, in seconds. That is soon: most requests take less,
    /// and when a lease ends is no news of when a request does.
    fn retry_after(&self) -> Option<HeaderValue> {
        match self {
            Problem::InProgress | Problem::StoreUnavailable => Some(HeaderValue::from_static("1")),
            _ => None,
        }
    }

    fn json(&self) -> Bytes {
        let mut json = serde_json::json!({
            "type": self.kind(),
            "title": self.title(),
            "status": self.status().as_u16(),
        });
        if let Some(detail) = self.detail() {
            json["detail"] = detail.into();
        }
        json.to_string().into()
    }

    pub(super) fn answer<R>(&self) -> Response<Answer<R>> {
        let mut response = Response::new(Either::Left(Full::new(self.json())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        response
    }

    /// To be answered for ever.
    pub(super) fn stored(&self) -> StoredResponse {
        StoredResponse {
            status: self.status().as_u16(),
            headers: vec![(header::CONTENT_TYPE.as_str().into(), CONTENT_TYPE.into())],
            body: self.json(),
        }
    }
}

const CONTENT_TYPE: &str = "application/problem+json";
