//! The verbs on resources: one handler for each, and what they share.

pub(crate) mod context;

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

pub(crate) mod predicate;
pub(crate) mod request_object;
pub(crate) mod write_options;
