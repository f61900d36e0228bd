/// Leave for a call. What it cost is spent, and there is nothing to give back:
/// a call that was not made after all is refunded by name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pub(super) left: Option<u32>,
}

impl Permit {
    pub(super) const UNTRACKED: Permit = Permit { left: None };

    /// How many more cells the key has right now. None if the call was let
    /// pass without being counted: the mode is off, or shadow and it would
    /// have been refused, or there was no slot for the key.
    pub fn left(&self) -> Option<u32> {
        self.left
    }
}
