//! Which request is which.

use std::error::Error;
use std::fmt;

/// What a client calls its request: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Key {
    /// The longest key, in bytes.
    pub const LONGEST: usize = 255;

    /// This key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is none. Nothing is cut or mended: two keys that
    /// differ stay different.
    pub fn new(key: impl Into<Box<str>>) -> Result<Self, KeyError> {
        let key = key.into();
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if key.len() > Self::LONGEST {
            return Err(KeyError::TooLong { bytes: key.len() });
        }
        if !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(KeyError::NotVisible);
        }
        Ok(Key(key))
    }

    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// It is empty.
    Empty,
    /// It is longer than [`Key::LONGEST`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It has a character that is not visible ASCII.
    NotVisible,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Empty => f.write_str("the key is empty"),
            KeyError::TooLong { bytes } => {
                write!(f, "the key has {bytes} bytes, of at most {}", Key::LONGEST)
            }
            KeyError::NotVisible => f.write_str("the key is not visible ASCII"),
        }
    }
}

impl Error for KeyError {}

/// Within what a key is unique: the same key elsewhere is another request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Whose request it is; empty if there is one tenant only.
    pub tenant: Box<str>,
    /// What is done, such as `POST`.
    pub method: Box<str>,
    /// To what, such as `/charges`.
    pub route: Box<str>,
}

impl Scope {
    /// The most that tenant, method and route may have together, in bytes:
    /// what an index of every engine takes, with a key.
    pub const LONGEST: usize = 2048;

    /// How long it is, in bytes.
    pub fn length(&self) -> usize {
        self.tenant.len() + self.method.len() + self.route.len()
    }
}

/// A key with its scope: what a store finds a request by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Where the key is unique.
    pub scope: Scope,
    /// The key.
    pub key: Key,
}

/// What a request asks for, as a hash of 256 bits: a repeat has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);
