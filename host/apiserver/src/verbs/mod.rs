//! The verbs on resources: one handler for each, and what they share.

mod apply;
pub(crate) mod collection;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod scale;
pub(crate) mod update;
pub(crate) mod watch;

mod admission_chain;
mod create_guards;
pub(crate) mod handler_response;
pub(crate) mod managed_fields;
mod predicate;
mod request_object;
mod strategic;
mod write_options;
