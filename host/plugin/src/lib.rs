//! Finds, checks, loads and supervises engine backends.
