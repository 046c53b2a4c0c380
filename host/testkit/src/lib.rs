//! Test helpers: a scripted engine, a private dockerd, patience.
