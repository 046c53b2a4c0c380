//! The properties of everything here that parses bytes from outside. Each function
//! panics if the input breaks a property.
//!
//! The targets in `fuzz` search for such inputs. The tests replay those that are
//! saved there, and random mutations of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

mod cursor;
mod exec_query;
mod log_query;
mod query_params;
mod subprotocol;

mod schema_validator;

pub use cursor::cursor;
pub use exec_query::exec_query;
pub use log_query::log_query;
pub use subprotocol::subprotocol;

pub use crate::exec::fuzzing::exec_messages;
pub use crate::mux::fuzzing::mux_message;

pub(crate) use schema_validator::SchemaValidator;

#[cfg(test)]
mod tests {
    use rdd_testkit::replay_corpus;

    use super::*;

    #[test]
    fn log_queries_keep_their_properties() {
        replay_corpus("log_query", log_query);
    }

    #[test]
    fn exec_queries_keep_their_properties() {
        replay_corpus("exec_query", exec_query);
    }

    #[test]
    fn subprotocols_keep_their_properties() {
        replay_corpus("subprotocol", subprotocol);
    }

    #[test]
    fn cursors_keep_their_properties() {
        replay_corpus("cursor", cursor);
    }

    #[test]
    fn mux_messages_keep_their_properties() {
        replay_corpus("mux_message", mux_message);
    }

    #[test]
    fn exec_messages_keep_their_properties() {
        replay_corpus("exec_messages", exec_messages);
    }
}
