//! The exec endpoint.

mod channels;
mod client;
mod ends;
mod statuses;
