//! Why a server cannot be opened.

use std::path::PathBuf;

use rdd_apiserver_storage::{CommitError, StoreOpenError, WatchError};
use tokio::task::JoinError;

/// An error of [`ApiServer::open`](crate::ApiServer::open).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store could not be opened.
    #[error("cannot open the store of the API server")]
    Store(#[source] StoreOpenError),
    /// Opening the store panicked, or the runtime shut down.
    #[error("cannot open the store of the API server")]
    StoreTask(#[source] JoinError),
    /// A namespace that each cluster has could not be created.
    #[error("cannot create namespace {name}")]
    Namespace {
        /// The name of the namespace.
        name: &'static str,
        /// The error of the store.
        #[source]
        source: CommitError,
    },
    /// The file of the audit log could not be opened.
    #[error("cannot open the audit log {}", file.display())]
    Audit {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A role that each cluster has, or its binding, could not be created.
    #[error("cannot create cluster role {name}")]
    Role {
        /// The name of the role.
        name: &'static str,
        /// The error of the store.
        #[source]
        source: CommitError,
    },
    /// The controllers could not watch the store.
    #[error("cannot start the controllers of the API server")]
    Controllers(#[source] WatchError),
}

impl OpenError {
    /// Returns whether another process, or another server of this process, has
    /// opened the database.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(StoreOpenError::Locked { .. }))
    }

    /// Returns whether the database is damaged. [`set_aside`](crate::set_aside) renames it, so
    /// that a new one can be created.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Store(StoreOpenError::Damaged { .. }))
    }
}
