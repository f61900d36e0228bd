//! The key of a request.

use std::convert::Infallible;

use http::{HeaderMap, HeaderName};
use sfv::visitor::Ignored;
use sfv::{BareItemFromInput, Parser};

use crate::idempotency::Key;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Why a request has no key that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    Missing,
    Bad(String),
}

/// The key: a string of structured fields (RFC 9651), as the IETF's draft has
/// it, or its bare text, as Stripe has it.
pub(super) fn key(headers: &HeaderMap) -> Result<Key, NoKey> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or(NoKey::Missing)?;
    if values.next().is_some() {
        return Err(NoKey::Bad("the header is there more than once".to_owned()));
    }
    let value = value.as_bytes().trim_ascii();
    let text = if value.starts_with(b"\"") {
        quoted(value)?
    } else {
        bare(value)?
    };
    Key::new(text).map_err(|error| NoKey::Bad(error.to_string()))
}

fn quoted(value: &[u8]) -> Result<String, NoKey> {
    let mut text = None;
    let parsed = Parser::new(value).parse_item_with_visitor(|item: BareItemFromInput<'_>| {
        if let BareItemFromInput::String(string) = item {
            text = Some(string.as_str().to_owned());
        }
        Ok::<_, Infallible>(Ignored)
    });
    match (parsed, text) {
        (Ok(()), Some(text)) => Ok(text),
        _ => Err(NoKey::Bad("the header is no string of RFC 9651".to_owned())),
    }
}

/// A comma would be two headers that somebody has joined; and what else has a
/// meaning in structured fields must be quoted.
fn bare(value: &[u8]) -> Result<String, NoKey> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\",;".contains(byte);
    if !value.iter().all(is_plain) {
        return Err(NoKey::Bad(
            "a key with spaces, quotes, commas or semicolons must be quoted".to_owned(),
        ));
    }
    Ok(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&[u8]]) -> Result<String, NoKey> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        key(&headers).map(|key| key.as_str().to_owned())
    }

    #[test]
    fn a_quoted_key_and_its_bare_text_are_the_same() {
        for value in ["\"8e03978e\"", "8e03978e", " 8e03978e ", "\"8e03978e\";v=1"] {
            assert_eq!(
                of(&[value.as_bytes()]),
                Ok("8e03978e".to_owned()),
                "{value}"
            );
        }
        assert_eq!(
            of(&[br#""a \"b\" \\ c, d""#]),
            Ok(r#"a "b" \ c, d"#.to_owned())
        );
        assert_eq!(of(&[b"\" a\""]), Ok(" a".to_owned()), "nothing is trimmed");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(of(&[]), Err(NoKey::Missing));
        let long = [b'x'; 256];
        let bad: [&[&[u8]]; 14] = [
            &[b""],
            &[b"\"\""],
            &[b"  "],
            &[b"\"a"],
            &[b"\"a\" b"],
            &[b"\"a\", \"b\""],
            &[b"a,b"],
            &[b"a b"],
            &[b"a;b"],
            &[b"a\"b"],
            &[b"\xe9"],
            &[b"\"\xe9\""],
            &[&long],
            &[b"a", b"a"],
        ];
        for values in bad {
            let refused = of(values);
            assert!(
                matches!(refused, Err(NoKey::Bad(_))),
                "{values:?}: {refused:?}"
            );
        }
        assert_eq!(of(&[&long[..255]]).map(|key| key.len()), Ok(255));
    }
}
