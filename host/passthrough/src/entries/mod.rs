//! Entries of a log with their positions, and the cursors that viewers resume at.

pub(crate) mod cursor;
pub(crate) mod engine_call;
pub(crate) mod log_position;
pub(crate) mod positioned_batch;
pub(crate) mod time_census;

#[cfg(test)]
pub(crate) mod log_model;
#[cfg(test)]
mod position_tests;
