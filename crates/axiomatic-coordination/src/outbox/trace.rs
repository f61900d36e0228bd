//! The trace of which a message is part: W3C Trace Context.

use std::error::Error;
use std::fmt;

/// A `traceparent` and a `tracestate`, as the W3C's Trace Context, level 1,
/// has them.
///
/// ```
/// use axiomatic_coordination::outbox::TraceContext;
///
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let trace = TraceContext::parse(parent)?.with_state("vendor=1");
/// assert_eq!(trace.parent(), parent);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    parent: Box<str>,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// A trace by its `traceparent`.
    ///
    /// # Errors
    ///
    /// [`TraceError`] if it is none: not four fields in lower-case
    /// hexadecimal, an id of zeros, the version `ff`, or more fields than
    /// version `00` has.
    pub fn parse(parent: &str) -> Result<Self, TraceError> {
        if !is_parent(parent.as_bytes()) {
            return Err(TraceError);
        }
        Ok(TraceContext {
            parent: parent.into(),
            state: None,
        })
    }

    /// With a `tracestate`, which is passed on as it is.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<Box<str>>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// The `traceparent`.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The `tracestate`.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// version `-` trace id `-` parent id `-` flags.
fn is_parent(text: &[u8]) -> bool {
    const LENGTH: usize = 55;
    let hex = |part: &[u8]| {
        part.iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &[u8]| hex(part) && part.iter().any(|byte| *byte != b'0');
    if text.len() < LENGTH || [2, 35, 52].iter().any(|at| text[*at] != b'-') {
        return false;
    }
    let version = &text[..2];
    // Versions to come may append fields, version 00 has none to append.
    let end = text.len() == LENGTH || (version != b"00" && text[LENGTH] == b'-');
    hex(version)
        && version != b"ff"
        && id(&text[3..35])
        && id(&text[36..52])
        && hex(&text[53..55])
        && end
}

/// What was to be a `traceparent` is none.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TraceError;

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent of the W3C's Trace Context")
    }
}

impl Error for TraceError {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn takes_what_the_recommendation_takes_and_nothing_else() {
        let later = GOOD.replacen("00", "01", 1);
        for good in [GOOD, &later, &format!("{later}-more")] {
            assert!(TraceContext::parse(good).is_ok(), "{good}");
        }
        let bad = [
            String::new(),
            GOOD.to_uppercase(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("{GOOD}0"),
            format!("{later}more"),
            GOOD.replacen("00", "ff", 1),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace("-01", "-0g"),
            GOOD.replace('-', "_"),
        ];
        for bad in bad {
            assert_eq!(TraceContext::parse(&bad), Err(TraceError), "{bad}");
        }
    }
}
