//! Behaviour against a real RabbitMQ: the one at `AXIOMATIC_RABBITMQ_URL` or on
//! this machine, and private ones where a test stops, pauses or kills its
//! server.

mod checks;
mod conformance;
mod connecting;
mod outages;
mod relaying;
mod support;
mod verdicts;
