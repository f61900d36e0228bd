//! Behaviour against a real NATS: the one at `AXIOMATIC_NATS_URL` or on this
//! machine, and private ones where a test stops, pauses or kills its server.

mod aging;
mod conformance;
mod consuming;
mod faults_by_proxy;
mod holding;
mod inboxes;
mod outages;
mod relaying;
mod streams;
mod support;
mod verdicts;
