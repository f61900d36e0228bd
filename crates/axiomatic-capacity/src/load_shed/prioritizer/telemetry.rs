use axiomatic_core::Name;
use axiomatic_core::context::AdmissionLevel;

use crate::load_shed::signal::Look;

/// Who is told of new levels. Names and units stand in TELEMETRY.md.
pub(super) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "metrics")]
    level: metrics::Gauge,
}

impl Telemetry {
    pub(super) fn new(name: Name) -> Self {
        let _ = name;
        Telemetry {
            #[cfg(feature = "tracing")]
            name,
            #[cfg(feature = "metrics")]
            level: metrics::gauge!("axiomatic_load_shed_level", "name" => name.as_str()),
        }
    }

    /// A period is over, and this is admitted now.
    pub(super) fn decided(&self, before: AdmissionLevel, level: AdmissionLevel, look: &Look) {
        #[cfg(feature = "tracing")]
        match (before, level) {
            (AdmissionLevel::ALL, AdmissionLevel::ALL) => {}
            (AdmissionLevel::ALL, _) => tracing::info!(
                target: "axiomatic::load_shed",
                name = self.name.as_str(),
                %level,
                pressure = look.pressure.as_parts_per_million(),
                signal = look.highest,
                "shedding"
            ),
            (_, AdmissionLevel::ALL) => tracing::info!(
                target: "axiomatic::load_shed",
                name = self.name.as_str(),
                "admitting all"
            ),
            _ => {}
        }
        #[cfg(feature = "metrics")]
        self.level.set(f64::from(level.as_u32()) / 65_536.0);
        let _ = (before, level, look);
    }
}
