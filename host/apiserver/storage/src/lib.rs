//! The revisioned object store of the embedded API server.
