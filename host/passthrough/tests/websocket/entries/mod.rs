//! Logs as entries: formats, cursors, gaps, restarts, and shared engine streams.

mod formats;
mod resume;
mod shared;
pub(crate) mod viewer;
