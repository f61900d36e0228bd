use std::fmt;

/// What a store was like at a moment: plain numbers, which print as a line.
///
/// The counts are read one after another, so a snapshot that is taken while
/// others insert may mix two moments.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) live: u32,
    pub(super) leaving: u32,
    pub(super) cap: u32,
    pub(super) evictions: u64,
    pub(super) shared: u64,
    pub(super) refused: u64,
    pub(super) admitted: u64,
}

impl Snapshot {
    /// How many keys it held.
    pub fn live(&self) -> u32 {
        self.live
    }

    /// How many places were taken without a key to be found: by keys that
    /// were being made, and by evicted ones that somebody might still see.
    pub fn leaving(&self) -> u32 {
        self.leaving
    }

    /// How many places there are.
    pub fn cap(&self) -> u32 {
        self.cap
    }

    /// How many idle values were evicted so far.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many lookups were handed the shared value so far.
    pub fn shared(&self) -> u64 {
        self.shared
    }

    /// How many lookups were told to refuse so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many lookups were told to let pass unrecorded so far.
    pub fn admitted(&self) -> u64 {
        self.admitted
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} keys, {} leaving, {} evicted; without a place: {} shared, {} refused, {} admitted",
            self.live,
            self.cap,
            self.leaving,
            self.evictions,
            self.shared,
            self.refused,
            self.admitted
        )
    }
}
