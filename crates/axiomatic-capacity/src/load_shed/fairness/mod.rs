//! Which users are to lose first, of those whose requests matter the same.

mod config;
#[expect(
    clippy::module_inception,
    reason = "the mechanism has the module's name"
)]
mod fairness;
mod usage_cell;

pub use config::Config;
pub use fairness::Fairness;
