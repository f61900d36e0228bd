//! How much is shed, and that it is what matters least: the
//! [`Prioritizer`], and how it is configured.

mod config;
mod controller;
mod crowd;
mod deciding;
mod patience;
#[expect(
    clippy::module_inception,
    reason = "the mechanism has the module's name"
)]
mod prioritizer;
mod reports;
mod snapshot;
mod tallies_cell;
mod telemetry;

pub use config::Config;
pub use prioritizer::Prioritizer;
pub use snapshot::Snapshot;

pub(crate) use reports::Reports;
