//! How requests are recognised, run and answered.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, Method, StatusCode, header};

use super::fingerprint::Fingerprints;
use super::layer::IdempotencyLayer;
use crate::idempotency::Store;

/// How requests are recognised, run and answered.
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) tenants: Tenants,
    pub(super) is_required: bool,
    pub(super) methods: Vec<Method>,
    pub(super) routes: Routes,
    pub(super) in_progress: InProgress,
    pub(super) statuses: Statuses,
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) request_at_most: usize,
    pub(super) response_at_most: usize,
    pub(super) fingerprint: Fingerprints,
    pub(super) replayed: Vec<HeaderName>,
    pub(super) kept_of_request: Vec<HeaderName>,
    pub(super) is_resumable: bool,
}

impl Config {
    /// The least retention: a client that repeats its request for a day is
    /// recognised.
    pub const LEAST_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

    /// For these tenants, with the defaults that each setting names.
    pub fn new(tenants: Tenants) -> Self {
        Config {
            tenants,
            is_required: true,
            methods: vec![Method::POST, Method::PATCH],
            routes: Routes::path(),
            in_progress: InProgress::Conflict,
            statuses: Statuses::deterministic(),
            lease: Duration::from_secs(60),
            retention: Self::LEAST_RETENTION,
            request_at_most: 256 * 1024,
            response_at_most: 256 * 1024,
            fingerprint: Fingerprints::raw(),
            replayed: vec![
                header::CACHE_CONTROL,
                header::CONTENT_DISPOSITION,
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
                header::CONTENT_LOCATION,
                header::CONTENT_TYPE,
                header::ETAG,
                header::EXPIRES,
                header::LAST_MODIFIED,
                header::LINK,
                header::LOCATION,
                header::VARY,
            ],
            kept_of_request: vec![
                header::ACCEPT,
                header::ACCEPT_LANGUAGE,
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
                header::CONTENT_TYPE,
            ],
            is_resumable: false,
        }
    }

    /// Whether a request must have a key (default: it must). One without is
    /// answered with 400, or else passes through, and is as idempotent as its
    /// handler.
    #[must_use]
    pub fn required(mut self, is_required: bool) -> Self {
        self.is_required = is_required;
        self
    }

    /// The methods that are looked at (default: POST and PATCH). All others
    /// pass through: by HTTP, they are idempotent.
    #[must_use]
    pub fn methods(mut self, methods: &[Method]) -> Self {
        self.methods = methods.to_vec();
        self
    }

    /// What the route of a request is (default: its path). The same key on
    /// another route is another request.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// What a repeat is told while its first runs (default: a conflict).
    #[must_use]
    pub fn in_progress(mut self, in_progress: InProgress) -> Self {
        self.in_progress = in_progress;
        self
    }

    /// Which answers are stored (default: [`Statuses::deterministic`]).
    #[must_use]
    pub fn statuses(mut self, statuses: Statuses) -> Self {
        self.statuses = statuses;
        self
    }

    /// For how long a request is safe from being run by another, if its
    /// process is not heard of (default: 60 s). The lease is renewed when a
    /// third of it is over.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// For how long a key and its answer are remembered (default and least:
    /// 24 h). Longer than clients repeat a request.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The longest body of a request, in bytes (default: 256 KiB).
    #[must_use]
    pub fn request_at_most(mut self, bytes: usize) -> Self {
        self.request_at_most = bytes;
        self
    }

    /// The longest body of an answer that is stored, in bytes (default:
    /// 256 KiB).
    #[must_use]
    pub fn response_at_most(mut self, bytes: usize) -> Self {
        self.response_at_most = bytes;
        self
    }

    /// By what two requests are told from one another (default:
    /// [`Fingerprints::raw`]).
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: Fingerprints) -> Self {
        self.fingerprint = fingerprint;
        self
    }

    /// The headers of an answer that are stored, and so given to any client;
    /// all others are dropped. By default what says what the body is and where
    /// (`content-type`, `location`, `etag` and the like), and no cookies.
    #[must_use]
    pub fn replayed_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.replayed = headers.into_iter().collect();
        self
    }

    /// The headers of a [resumable](Self::resumable) request that are stored.
    /// By default what says what the body is, and what is accepted; no
    /// credentials.
    #[must_use]
    pub fn stored_request_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.kept_of_request = headers.into_iter().collect();
        self
    }

    /// Whether requests are stored, so that a
    /// [completer](super::Completer) can run those whose clients do not come
    /// back (default: they are not).
    #[must_use]
    pub fn resumable(mut self, is_resumable: bool) -> Self {
        self.is_resumable = is_resumable;
        self
    }

    /// The layer, over this store.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it would not do what it is for.
    pub fn layer<S: Store>(self, store: S) -> Result<IdempotencyLayer<S>, ConfigError> {
        if self.retention < Self::LEAST_RETENTION {
            return Err(ConfigError::RetentionTooShort(self.retention));
        }
        if self.lease < Duration::from_secs(1) {
            return Err(ConfigError::LeaseTooShort(self.lease));
        }
        if self.lease > self.retention {
            return Err(ConfigError::LeaseTooLong(self.lease));
        }
        // Of one connection or one moment: another's would be false.
        let of_one_connection = [
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::DATE,
            header::TE,
            header::TRAILER,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ];
        let mut kept = self.replayed.iter().chain(&self.kept_of_request);
        if let Some(header) = kept.find(|header| of_one_connection.contains(header)) {
            return Err(ConfigError::OfOneConnection(header.clone()));
        }
        Ok(IdempotencyLayer::new(store, self))
    }
}

/// Whose request it is: no tenant sees another's answers.
#[derive(Clone)]
pub struct Tenants(Option<Arc<Tell<Option<String>>>>);

/// What a request's head tells.
type Tell<T> = dyn Fn(&Parts) -> T + Send + Sync;

impl Tenants {
    /// There is one only.
    pub fn single() -> Self {
        Tenants(None)
    }

    /// As this function says, from what authentication has found out. A
    /// request of nobody is answered with 400.
    pub fn by(tenant: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Tenants(Some(Arc::new(tenant)))
    }

    pub(super) fn of(&self, parts: &Parts) -> Option<String> {
        match &self.0 {
            Some(tenant) => tenant(parts),
            None => Some(String::new()),
        }
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Tenants::by",
            None => "Tenants::single",
        })
    }
}

/// To what a request goes.
#[derive(Clone)]
pub struct Routes(Option<Arc<Tell<String>>>);

impl Routes {
    /// To its path.
    pub fn path() -> Self {
        Routes(None)
    }

    /// As this function says.
    pub fn by(route: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        Routes(Some(Arc::new(route)))
    }

    pub(super) fn of(&self, parts: &Parts) -> String {
        match &self.0 {
            Some(route) => route(parts),
            None => parts.uri.path().to_owned(),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Routes::by",
            None => "Routes::path",
        })
    }
}

/// What a repeat is told while its first runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InProgress {
    /// 409, and to come back.
    Conflict,
    /// It waits for the answer so long, and is told then.
    Wait(Duration),
}

/// Which answers are stored: a repeat is told the same. After any other the
/// request is given up, and a repeat runs it on from its last phase.
#[derive(Clone, Copy, Debug)]
pub struct Statuses(fn(StatusCode) -> bool);

impl Statuses {
    /// Those that a repeat would get again: 2xx, 3xx, and 4xx but 401, 403,
    /// 407, 408, 425 and 429, which another credential or another time may
    /// change.
    pub fn deterministic() -> Self {
        Statuses(|status| {
            let may_change = [401, 403, 407, 408, 425, 429];
            matches!(status.as_u16(), 200..=499) && !may_change.contains(&status.as_u16())
        })
    }

    /// All, as Stripe does: a failure is repeated, too.
    pub fn all() -> Self {
        Statuses(|_| true)
    }

    /// Those for which this function says so.
    pub fn by(are_stored: fn(StatusCode) -> bool) -> Self {
        Statuses(are_stored)
    }

    pub(super) fn stores(self, status: StatusCode) -> bool {
        (self.0)(status)
    }
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Keys would be forgotten while clients may repeat them: the retention is
    /// less than [`Config::LEAST_RETENTION`].
    RetentionTooShort(Duration),
    /// The lease is less than a second: it would end while it is renewed.
    LeaseTooShort(Duration),
    /// The lease is longer than the retention.
    LeaseTooLong(Duration),
    /// This header is of one connection or one moment, and cannot be stored.
    OfOneConnection(HeaderName),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::RetentionTooShort(given) => write!(
                f,
                "a retention of {given:?} is less than {:?}",
                Config::LEAST_RETENTION
            ),
            ConfigError::LeaseTooShort(given) => write!(f, "a lease of {given:?} is less than 1s"),
            ConfigError::LeaseTooLong(given) => {
                write!(f, "a lease of {given:?} is longer than the retention")
            }
            ConfigError::OfOneConnection(header) => {
                write!(f, "{header} is of one connection, and cannot be stored")
            }
        }
    }
}

impl Error for ConfigError {}
