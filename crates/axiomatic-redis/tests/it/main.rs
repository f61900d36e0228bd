//! Behaviour against a real Redis: the one at `AXIOMATIC_REDIS_URL` or on this
//! machine, and private ones where a test stops, pauses or breaks its server.

mod child;
mod config;
mod deadlines;
mod faults_by_proxy;
mod keys;
mod layer;
mod leases;
mod limits;
mod oracle;
mod outages;
mod processes;
mod scripts;
mod support;
