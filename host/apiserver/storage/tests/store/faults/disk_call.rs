//! The calls that a disk gets, and the errors that it returns.

use std::io;

/// The kinds of calls that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CallKind {
    Open,
    Lookup,
    Read,
    Write,
    /// A write that makes its file longer.
    Growth,
    Sync,
    Truncate,
    Remove,
    Create,
    Rename,
    SyncDirectory,
}

impl CallKind {
    /// Returns whether a power loss before the call differs from one after it.
    pub(super) fn is_change(self) -> bool {
        !matches!(self, Self::Open | Self::Lookup | Self::Read)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskError {
    Io,
    Full,
    NotFound,
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Io => Self::other("simulated I/O error"),
            DiskError::Full => io::ErrorKind::StorageFull.into(),
            DiskError::NotFound => io::ErrorKind::NotFound.into(),
        }
    }
}

/// An error that the disk returns.
#[derive(Clone, Debug)]
pub(super) struct DiskFault {
    pub(super) calls: &'static [CallKind],
    /// The number of these calls that succeed before.
    pub(super) after: u64,
    pub(super) error: DiskError,
    /// Whether all later ones fail as well.
    pub(super) is_lasting: bool,
}

/// How processes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InterruptionKind {
    /// The system keeps what was written.
    Kill,
    PowerLoss,
}

/// What a call does.
pub(super) enum CallFate {
    Succeed,
    Fail(DiskError),
    /// The process ends during the call.
    Interrupt,
}
