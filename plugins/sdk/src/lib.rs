//! What the author of an engine backend uses.
