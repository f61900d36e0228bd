//! A RabbitMQ of a test's own.
