use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Method, Request};

/// The paths at which health checks ask, to be exempted from shedding.
///
/// A check that is shed says that the server is dead when it is only busy: an
/// orchestrator then restarts it, or takes it out of its rotation, and the
/// others have its load besides. So checks are answered however much else there
/// is to do.
///
/// ```
/// use axiomatic_http::HealthChecks;
/// use http::Request;
///
/// let checks = HealthChecks::at(["/healthz", "/livez", "/readyz"])?;
/// assert!(checks.matches(&Request::get("/readyz?verbose").body(())?));
/// assert!(!checks.matches(&Request::get("/readyz/all").body(())?));
/// assert!(!checks.matches(&Request::post("/readyz").body(())?));
/// // For a layer: `.exempting(move |request: &Request<_>| checks.matches(request))`
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Only `GET` and `HEAD` count, and only a path that is exactly one of these, as
/// it was sent: what is nearly so, with a slash at its end or a letter
/// percent-encoded, may be the same to a router, and is shed as anything is. It
/// is the path that the request has where it is asked: of what is nested in
/// axum, the one without the prefix. A check by gRPC is a `POST` to
/// `/grpc.health.v1.Health/Check`, and for a closure of your own.
///
/// Whoever may call these paths is not held back there. Their handlers are to be
/// cheap, and to ask no dependency: if each of them asks the database, it is the
/// checks that bring it down.
///
/// To match allocates nothing, and compares with one path after the other;
/// clones share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChecks {
    paths: Arc<[Box<str>]>,
}

impl HealthChecks {
    /// Checks at these paths.
    ///
    /// # Errors
    ///
    /// One of them is no path, so that no request would ever be for it.
    pub fn at<P: Into<Box<str>>>(paths: impl IntoIterator<Item = P>) -> Result<Self, NotAPath> {
        let paths = paths.into_iter().map(|path| {
            let path = path.into();
            if is_path(&path) {
                Ok(path)
            } else {
                Err(NotAPath { text: path })
            }
        });
        paths
            .collect::<Result<_, _>>()
            .map(|paths| HealthChecks { paths })
    }

    /// Whether this request is such a check.
    pub fn matches<B>(&self, request: &Request<B>) -> bool {
        let is_safe = [Method::GET, Method::HEAD].contains(request.method());
        let path = request.uri().path();
        is_safe && self.paths.iter().any(|known| **known == *path)
    }
}

/// Whether a request may come for it: from a slash on, and without a query.
fn is_path(text: &str) -> bool {
    let parsed = PathAndQuery::try_from(text);
    text.starts_with('/') && parsed.is_ok_and(|parsed| parsed.path() == text)
}

/// What was to be the path of a [health check](HealthChecks), and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAPath {
    text: Box<str>,
}

impl fmt::Display for NotAPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(
            f,
            "a path begins with a slash and has no query, which {text:?} does not"
        )
    }
}

impl Error for NotAPath {}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_check(method: Method, uri: &str) -> bool {
        let checks = HealthChecks::at(["/healthz", "/"]).unwrap();
        let request = Request::builder().method(method).uri(uri).body(());
        checks.matches(&request.unwrap())
    }

    #[test]
    fn a_check_is_read_at_exactly_its_path() {
        for uri in [
            "/healthz",
            "/healthz?verbose",
            "http://10.0.0.7:80/healthz",
            "/",
            "http://10.0.0.7",
        ] {
            assert!(is_check(Method::GET, uri), "{uri}");
            assert!(is_check(Method::HEAD, uri), "{uri}");
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                assert!(!is_check(method.clone(), uri), "{method} {uri}");
            }
        }
        for uri in [
            "/healthz/",
            "/healthz/all",
            "//healthz",
            "/Healthz",
            "/%68ealthz",
            "/health",
            "/healthzz",
            "/api/healthz",
            "/other?path=/healthz",
        ] {
            assert!(!is_check(Method::GET, uri), "{uri}");
        }
        let none = HealthChecks::at([""; 0]).unwrap();
        assert!(!none.matches(&Request::new(())));
    }

    #[test]
    fn what_no_request_can_be_for_is_refused() {
        for text in [
            "",
            "healthz",
            "/healthz?verbose",
            "/a#b",
            "/a b",
            "*",
            "/\n",
        ] {
            let refused = HealthChecks::at(["/livez", text]).unwrap_err();
            assert!(refused.to_string().contains(&format!("{text:?}")), "{text}");
        }
        let owned = HealthChecks::at([String::from("/livez")]);
        assert_eq!(owned, HealthChecks::at(["/livez"]));
    }
}
