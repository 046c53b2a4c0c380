//! The verbs on resources.

pub(crate) mod call;
pub(crate) mod collection;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod object;
pub(crate) mod options;
pub(crate) mod patch;
pub(crate) mod scale;
pub(crate) mod select;
pub(crate) mod update;
pub(crate) mod watch;
