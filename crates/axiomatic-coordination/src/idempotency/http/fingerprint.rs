//! What a request asks for, in 256 bits.

use std::fmt;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::idempotency::Fingerprint;

/// By what two requests are told from one another.
#[derive(Clone)]
pub struct Fingerprints(Rule);

#[derive(Clone)]
enum Rule {
    Raw,
    CanonicalJson,
    By(Arc<Tell>),
}

type Tell = dyn Fn(&Parts, &[u8]) -> Fingerprint + Send + Sync;

impl Fingerprints {
    /// SHA-256 of method, path and query, content type and body, as they came.
    pub fn raw() -> Self {
        Fingerprints(Rule::Raw)
    }

    /// The same, but a body that is JSON may have its members in another order
    /// and its spaces elsewhere. Numbers are compared as doubles, and of two
    /// members with one name the last counts; a body that is no JSON is taken
    /// raw.
    pub fn canonical_json() -> Self {
        Fingerprints(Rule::CanonicalJson)
    }

    /// What this function says of a request's head and body.
    pub fn by(fingerprint: impl Fn(&Parts, &[u8]) -> Fingerprint + Send + Sync + 'static) -> Self {
        Fingerprints(Rule::By(Arc::new(fingerprint)))
    }

    pub(super) fn of(&self, parts: &Parts, body: &[u8]) -> Fingerprint {
        match &self.0 {
            Rule::Raw => hash(parts, body),
            Rule::CanonicalJson => match serde_json::from_slice::<Value>(body) {
                Ok(value) => hash(parts, canonical(value).to_string().as_bytes()),
                Err(_) => hash(parts, body),
            },
            Rule::By(fingerprint) => fingerprint(parts, body),
        }
    }
}

/// Each part behind its length, so that none runs into the next.
fn hash(parts: &Parts, body: &[u8]) -> Fingerprint {
    let uri = &parts.uri;
    let query = uri
        .path_and_query()
        .map_or(uri.path(), |both| both.as_str());
    let content_type = parts.headers.get(CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
    let mut hash = Sha256::new();
    for part in [
        parts.method.as_str().as_bytes(),
        query.as_bytes(),
        content_type,
        body,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Fingerprint(hash.finalize().into())
}

/// With members in the order of their names, whether or not the build keeps
/// them in the order in which they came.
fn canonical(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(canonical).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(name, value)| (name, canonical(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Rule::Raw => "Fingerprints::raw",
            Rule::CanonicalJson => "Fingerprints::canonical_json",
            Rule::By(_) => "Fingerprints::by",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn of(rule: &Fingerprints, method: &str, uri: &str, kind: &str, body: &str) -> Fingerprint {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header(CONTENT_TYPE, kind).body(()).unwrap();
        rule.of(&request.into_parts().0, body.as_bytes())
    }

    #[test]
    fn each_part_of_a_request_counts() {
        let all = [
            ("POST", "/a", "text/plain", "body"),
            ("PATCH", "/a", "text/plain", "body"),
            ("POST", "/b", "text/plain", "body"),
            ("POST", "/a?q", "text/plain", "body"),
            ("POST", "/a", "text/csv", "body"),
            ("POST", "/a", "text/plain", "bodY"),
            ("POST", "/a", "text/plainb", "ody"),
            ("POST", "/atext/plain", "", "body"),
        ];
        for rule in [Fingerprints::raw(), Fingerprints::canonical_json()] {
            let hashes = all.map(|(method, uri, kind, body)| of(&rule, method, uri, kind, body));
            for (at, one) in hashes.iter().enumerate() {
                assert!(!hashes[..at].contains(one), "{rule:?} {:?}", all[at]);
            }
        }
    }

    #[test]
    fn json_is_canonical_only_where_it_is_asked_for() {
        let json = |rule: &Fingerprints, body| of(rule, "POST", "/", "application/json", body);
        let one = r#"{"a": [1, {"x": 0.1, "y": null}], "b": "c"}"#;
        let same = r#"{"b":"c","a":[1,{"y":null,"x":0.10}]}"#;
        let other = r#"{"b":"c","a":[{"y":null,"x":0.1},1]}"#;
        let canonical = Fingerprints::canonical_json();
        assert_eq!(json(&canonical, one), json(&canonical, same));
        assert_ne!(json(&canonical, one), json(&canonical, other));
        assert_ne!(json(&canonical, "{"), json(&canonical, "{ "));
        let raw = Fingerprints::raw();
        assert_ne!(json(&raw, one), json(&raw, same));
        let by = Fingerprints::by(|_, body| Fingerprint([body.len() as u8; 32]));
        assert_eq!(json(&by, "ab"), Fingerprint([2; 32]));
    }
}
