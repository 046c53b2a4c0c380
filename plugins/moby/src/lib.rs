//! The moby backend: Docker Engine API to the engine interface.
