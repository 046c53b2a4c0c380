//! Runs engine backends that are WebAssembly components.
