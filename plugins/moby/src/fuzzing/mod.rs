//! The properties of everything here that decodes a stream of the engine. Each
//! function panics if the input breaks a property.
//!
//! The targets in `fuzz` search for such inputs. The tests replay those that are
//! saved there, and random mutations of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

mod element_list;
mod event_stream;

mod piece_plan;

pub use element_list::element_list;
pub use event_stream::event_stream;

pub use crate::entries::fuzzing::log_stream;

pub(crate) use piece_plan::PiecePlan;

#[cfg(test)]
mod tests {
    use rdd_testkit::replay_corpus;

    use super::*;

    #[test]
    fn log_streams_keep_their_properties() {
        replay_corpus("log_stream", log_stream);
    }

    #[test]
    fn event_streams_keep_their_properties() {
        replay_corpus("event_stream", event_stream);
    }

    #[test]
    fn element_lists_keep_their_properties() {
        replay_corpus("element_list", element_list);
    }
}
