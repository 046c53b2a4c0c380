//! What both forms of a backend share. In one file, so that it is clear which
//! parts of this crate depend on it.
