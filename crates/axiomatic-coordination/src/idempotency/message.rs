//! Requests and responses as they are stored.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

/// An answer as it is stored and repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its status.
    pub status: u16,
    /// Its headers, as text; one that is repeated stands here repeatedly.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Its body.
    pub body: Bytes,
}

/// A request as it is stored, so that it can be run without its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// Its method.
    pub method: Box<str>,
    /// Its path and query.
    pub uri: Box<str>,
    /// Those of its headers that are kept.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Its body.
    pub body: Bytes,
}

/// Why stored bytes are not what was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredShape;

impl fmt::Display for StoredShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not what was stored")
    }
}

impl Error for StoredShape {}

/// All but the body, as JSON, for a column of text; the body has a column of
/// bytes.
impl StoredResponse {
    /// Status and headers.
    pub fn head(&self) -> String {
        serde_json::json!([self.status, self.headers]).to_string()
    }

    /// From what [`head`](Self::head) has made, and the body.
    ///
    /// # Errors
    ///
    /// [`StoredShape`] if it is something else.
    pub fn from_stored(head: &str, body: Bytes) -> Result<Self, StoredShape> {
        let (status, headers) = serde_json::from_str(head).map_err(|_| StoredShape)?;
        Ok(StoredResponse {
            status,
            headers,
            body,
        })
    }
}

impl StoredRequest {
    /// Method, path and headers.
    pub fn head(&self) -> String {
        serde_json::json!([self.method, self.uri, self.headers]).to_string()
    }

    /// From what [`head`](Self::head) has made, and the body.
    ///
    /// # Errors
    ///
    /// [`StoredShape`] if it is something else.
    pub fn from_stored(head: &str, body: Bytes) -> Result<Self, StoredShape> {
        let (method, uri, headers) = serde_json::from_str(head).map_err(|_| StoredShape)?;
        Ok(StoredRequest {
            method,
            uri,
            headers,
            body,
        })
    }
}
