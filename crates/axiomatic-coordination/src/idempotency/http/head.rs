//! Requests and responses, and what is stored of them.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{Either, Full};

use super::service::Answer;
use crate::idempotency::{StoredRequest, StoredResponse, StoredShape};

/// Says that an answer was given before.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

type Headers = Vec<(Box<str>, Box<str>)>;

/// Those that are listed, as text: each byte is the character of its number,
/// since a header need not be UTF-8.
fn kept(headers: &HeaderMap, listed: &[HeaderName]) -> Headers {
    let kept = headers.iter().filter(|(name, _)| listed.contains(name));
    let text = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
    kept.map(|(name, value)| (name.as_str().into(), text(value)))
        .collect()
}

fn restore(stored: &Headers, headers: &mut HeaderMap) -> Result<(), StoredShape> {
    for (name, value) in stored {
        let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
        let value = HeaderValue::from_bytes(&bytes.map_err(|_| StoredShape)?);
        let name = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(StoredShape);
        };
        headers.append(name, value);
    }
    Ok(())
}

pub(super) fn stored_response(
    status: StatusCode,
    headers: &HeaderMap,
    listed: &[HeaderName],
    body: Bytes,
) -> StoredResponse {
    StoredResponse {
        status: status.as_u16(),
        headers: kept(headers, listed),
        body,
    }
}

/// Whether an answer was given before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    First,
    Before,
}

pub(super) fn answer<R>(
    stored: StoredResponse,
    given: Given,
) -> Result<Response<Answer<R>>, StoredShape> {
    let mut response = Response::new(Either::Left(Full::new(stored.body)));
    *response.status_mut() = StatusCode::from_u16(stored.status).map_err(|_| StoredShape)?;
    let headers = response.headers_mut();
    restore(&stored.headers, headers)?;
    if given == Given::Before {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

pub(super) fn stored_request(parts: &Parts, listed: &[HeaderName], body: &Bytes) -> StoredRequest {
    let uri = &parts.uri;
    let path = uri
        .path_and_query()
        .map_or(uri.path(), |both| both.as_str());
    StoredRequest {
        method: parts.method.as_str().into(),
        uri: path.into(),
        headers: kept(&parts.headers, listed),
        body: body.clone(),
    }
}

pub(super) fn request<B: From<Bytes>>(stored: StoredRequest) -> Result<Request<B>, StoredShape> {
    let request = Request::builder().method(&*stored.method).uri(&*stored.uri);
    let mut request = request
        .body(B::from(stored.body))
        .map_err(|_| StoredShape)?;
    restore(&stored.headers, request.headers_mut())?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};

    use super::*;

    #[test]
    fn what_is_stored_is_restored_to_the_byte() {
        let mut request = Request::patch("/a?b=%20c").body(()).unwrap();
        let headers = request.headers_mut();
        let bytes: Vec<u8> = (0x20..=0xff).filter(|byte| *byte != 0x7f).collect();
        headers.append(LOCATION, HeaderValue::from_bytes(&bytes).unwrap());
        headers.append(LOCATION, HeaderValue::from_static("twice"));
        headers.append(SET_COOKIE, HeaderValue::from_static("secret"));
        let (parts, ()) = request.into_parts();
        let body = Bytes::from_static(b"\0\xff");
        let stored = stored_request(&parts, &[CONTENT_TYPE, LOCATION], &body);
        let restored: Request<Full<Bytes>> = super::request(stored).unwrap();
        assert_eq!(
            (restored.method(), restored.uri()),
            (&parts.method, &parts.uri)
        );
        let locations: Vec<_> = restored.headers().get_all(LOCATION).iter().collect();
        assert_eq!(locations, [&bytes[..], b"twice"]);
        assert_eq!(restored.headers().len(), 2, "what is not listed is dropped");

        let ok = stored_response(StatusCode::CREATED, &parts.headers, &[LOCATION], body);
        let first = answer::<Full<Bytes>>(ok.clone(), Given::First).unwrap();
        assert_eq!((first.status().as_u16(), first.headers().len()), (201, 2));
        let again = answer::<Full<Bytes>>(ok, Given::Before).unwrap();
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(again.headers().len(), 3);
    }

    #[test]
    fn what_cannot_have_been_stored_is_an_error() {
        let response = |status, name: &str, value: &str| {
            let stored = StoredResponse {
                status,
                headers: vec![(name.into(), value.into())],
                body: Bytes::new(),
            };
            answer::<Full<Bytes>>(stored, Given::Before).is_ok()
        };
        assert!(response(200, "a", "b"));
        assert!(!response(99, "a", "b"));
        assert!(!response(200, "a b", "b"));
        assert!(!response(200, "a", "\n"));
        assert!(!response(200, "a", "\u{100}"));
    }
}
