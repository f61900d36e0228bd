//! Whether a mechanism acts on its decisions.

use std::fmt;

/// Whether a mechanism acts on its decisions, only counts them, or stands
/// aside. Every mechanism can be switched while it runs.
///
/// ```
/// use axiomatic_core::Mode;
/// assert_eq!(Mode::default(), Mode::Enforce);
/// assert_eq!(Mode::Shadow.to_string(), "shadow");
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Decide and act.
    #[default]
    Enforce,
    /// Decide, count what would have been done, and let everything pass.
    Shadow,
    /// One load, and let everything pass. Permits issued earlier still
    /// settle.
    Off,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        })
    }
}
