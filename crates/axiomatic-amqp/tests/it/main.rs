//! Behaviour against a real RabbitMQ: the one at `AXIOMATIC_RABBITMQ_URL` or on
//! this machine, and private ones where a test stops or kills its server.

mod breaking;
mod broker;
mod consuming;
mod inboxes;
mod limits;
mod losing;
mod queues;
