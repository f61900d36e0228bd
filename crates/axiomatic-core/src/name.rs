//! Names of mechanisms.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The name of a mechanism: `Copy`, compared by content, never a key.
///
/// A name goes into events and metrics, where each distinct value costs
/// memory for ever. So it is either a literal or [interned](Name::intern)
/// into a table of bounded size, and what callers control (a host, a tenant)
/// must not become one.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(&'static str);

impl Name {
    /// What a mechanism is called that was given no name.
    pub const UNNAMED: Name = Name::literal("unnamed");

    /// What a mechanism of another process is called, whatever it is called
    /// there: a name that came with a request is the sender's to choose, and
    /// must not become one here.
    pub const REMOTE: Name = Name::literal("remote");

    /// How many different names can be interned.
    pub const LIMIT: usize = 4096;

    /// The longest name that can be interned, in bytes.
    pub const LONGEST: usize = 128;

    /// A name that stands in the source, in a constant for example.
    ///
    /// ```
    /// use axiomatic_core::Name;
    ///
    /// const PAYMENT: Name = Name::literal("payment");
    /// assert_eq!(PAYMENT, Name::from("payment"));
    /// ```
    pub const fn literal(name: &'static str) -> Name {
        Name(name)
    }

    /// A name made at run time, from configuration for example. Its bytes
    /// are kept for the life of the process, once for each distinct name.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the name is longer than [`Name::LONGEST`] or
    /// [`Name::LIMIT`] other names are there already: whatever makes that
    /// many is naming keys.
    pub fn intern(name: &str) -> Result<Name, NameError> {
        static TABLE: OnceLock<Mutex<HashSet<&'static str>>> = OnceLock::new();
        if name.len() > Name::LONGEST {
            return Err(NameError::TooLong { bytes: name.len() });
        }
        let lock = || {
            let table = TABLE.get_or_init(Mutex::default).lock();
            table.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(settled) = settled(&lock(), name) {
            return settled;
        }
        // Outside of the lock, so that nobody waits for our allocation; in
        // the meantime another may have been here with the same name.
        let made = name.into();
        keep(&mut lock(), made)
    }

    /// The name as text.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

/// What comes of interning a name, if that can be told from the table.
fn settled(table: &HashSet<&'static str>, name: &str) -> Option<Result<Name, NameError>> {
    match table.get(name) {
        Some(known) => Some(Ok(Name(known))),
        None => (table.len() >= Name::LIMIT).then_some(Err(NameError::TooMany)),
    }
}

/// Keeps a name, unless it is there by now or the table is full.
fn keep(table: &mut HashSet<&'static str>, made: Box<str>) -> Result<Name, NameError> {
    settled(table, &made).unwrap_or_else(|| {
        let kept: &'static str = Box::leak(made);
        table.insert(kept);
        Ok(Name(kept))
    })
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Name::literal(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// Why a name could not be interned.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It is longer than [`Name::LONGEST`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// [`Name::LIMIT`] other names are there already.
    TooMany,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::TooLong { bytes } => {
                write!(f, "a name of {bytes} bytes exceeds {}", Name::LONGEST)
            }
            NameError::TooMany => write!(f, "more than {} different names", Name::LIMIT),
        }
    }
}

impl Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interning_keeps_each_name_once_and_refuses_what_is_too_long() {
        let one = Name::intern(&String::from("name-test")).unwrap();
        let two = Name::intern(&String::from("name-test")).unwrap();
        assert!(std::ptr::eq(one.as_str(), two.as_str()));
        assert_eq!(one, Name::from("name-test"));
        let long = "x".repeat(Name::LONGEST + 1);
        assert_eq!(
            Name::intern(&long),
            Err(NameError::TooLong { bytes: long.len() })
        );
    }

    #[test]
    fn a_name_that_another_interned_meanwhile_is_kept_once() {
        // A static, as names are for ever.
        static TABLE: OnceLock<Mutex<HashSet<&'static str>>> = OnceLock::new();
        let mut table = TABLE.get_or_init(Mutex::default).lock().unwrap();
        let one = keep(&mut table, "meanwhile".into()).unwrap();
        let two = keep(&mut table, "meanwhile".into()).unwrap();
        assert!(std::ptr::eq(one.as_str(), two.as_str()));
        assert_eq!(table.len(), 1);
    }
}
