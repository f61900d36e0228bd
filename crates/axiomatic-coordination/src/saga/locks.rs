//! Semantic locks: what sagas have reserved in the application's own terms, so
//! that others wait, or do something else, until they have ended.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::id::SagaId;
use super::mail::{Mail, Subject};

/// A resource, as the application names it, and how it is locked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lock {
    /// Its name: 1 to 200 bytes.
    pub resource: Box<str>,
    /// With others, or alone.
    pub mode: LockMode,
}

impl Lock {
    /// Nobody else has it meanwhile.
    pub fn exclusive(resource: impl Into<Box<str>>) -> Self {
        Lock {
            resource: resource.into(),
            mode: LockMode::Exclusive,
        }
    }

    /// Others who share it have it, too.
    pub fn shared(resource: impl Into<Box<str>>) -> Self {
        Lock {
            resource: resource.into(),
            mode: LockMode::Shared,
        }
    }
}

/// Whether a resource is locked with others, or alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LockMode {
    /// With others who share it.
    Shared,
    /// Alone.
    Exclusive,
}

impl LockMode {
    /// As stores write it. Frozen.
    pub const fn as_str(self) -> &'static str {
        match self {
            LockMode::Shared => "shared",
            LockMode::Exclusive => "exclusive",
        }
    }

    /// From what a store has written.
    pub fn from_stored(stored: &str) -> Option<LockMode> {
        [LockMode::Shared, LockMode::Exclusive]
            .into_iter()
            .find(|mode| mode.as_str() == stored)
    }
}

/// What a saga asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRequest {
    /// Which saga.
    pub saga: SagaId,
    /// What the request is known again by, among those of the saga; and the
    /// name of the signal that says that it has all of them.
    pub name: Arc<str>,
    /// What it asks for, in the order of the resources, each once. Of nothing
    /// it has all.
    pub locks: Vec<Lock>,
    /// Whether it stands in line if it cannot have all of them now.
    pub waits: bool,
}

impl LockRequest {
    /// The letter by which the saga hears that it has all that it asked for.
    /// However often it is posted, it is one.
    pub fn letter(saga: SagaId, name: &str) -> Mail {
        let id = format!("locked\0{name}");
        Mail {
            id: Uuid::new_v5(&saga.0, id.as_bytes()),
            subject: Subject::Signal,
            name: name.into(),
            data: Bytes::from_static(b"null"),
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It has all of them, and its [letter](LockRequest::letter) is posted.
    Held,
    /// It stands in line, and the letter is posted when it has all of them.
    Waits,
    /// Others have some of it, and it does not wait: nothing was changed.
    Busy,
    /// The lease is lost, or the saga is gone or has ended: nothing was
    /// changed.
    Lost,
}

/// One that stands in line for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InLine {
    /// Which saga.
    pub saga: SagaId,
    /// With others, or alone.
    pub mode: LockMode,
    /// It has it: nobody stands before it with whom it cannot share.
    pub has_it: bool,
}

/// Whether the one at this place of a line has what all there wait for: it and
/// all others before it share. Who stands there twice is not in its own way.
pub(super) fn has_it(line: &[(SagaId, LockMode)], at: usize) -> bool {
    let (saga, mode) = line[at];
    let mut others = line[..at].iter().filter(|(other, _)| *other != saga);
    others.all(|(_, other)| (*other, mode) == (LockMode::Shared, LockMode::Shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(modes: &str) -> Vec<(SagaId, LockMode)> {
        let place = |(who, mode): (char, char)| {
            let mode = match mode {
                's' => LockMode::Shared,
                _ => LockMode::Exclusive,
            };
            (SagaId(Uuid::from_u128(u128::from(u32::from(who)))), mode)
        };
        let chars: Vec<char> = modes.chars().collect();
        chars.chunks(2).map(|two| place((two[0], two[1]))).collect()
    }

    fn who_has_it(modes: &str) -> String {
        let line = line(modes);
        (0..line.len())
            .map(|at| if has_it(&line, at) { 'y' } else { 'n' })
            .collect()
    }

    #[test]
    fn the_first_has_it_and_those_who_share_with_all_before_them() {
        for (line, expected) in [
            ("ax", "y"),
            ("as", "y"),
            ("axbx", "yn"),
            ("axbs", "yn"),
            ("asbs", "yy"),
            ("asbx", "yn"),
            ("asbxcs", "ynn"),
            ("asbscxds", "yynn"),
        ] {
            assert_eq!(who_has_it(line), expected, "{line}");
        }
    }

    #[test]
    fn nobody_is_in_its_own_way() {
        for (line, expected) in [
            ("axax", "yy"),
            ("asax", "yy"),
            ("asbsax", "yyn"),
            // But whoever waits is passed by nobody.
            ("axbxas", "ynn"),
            ("asbxas", "ynn"),
        ] {
            assert_eq!(who_has_it(line), expected, "{line}");
        }
    }
}
