//! Behaviour against a real RabbitMQ: the one at `AXIOMATIC_RABBITMQ_URL` or on
//! this machine, and private ones where a test stops, pauses or kills its
//! server.

mod breaking;
mod broker;
mod checks;
mod conformance;
mod connecting;
mod consuming;
mod inboxes;
mod limits;
mod losing;
mod outages;
mod queues;
mod relaying;
mod support;
mod verdicts;
