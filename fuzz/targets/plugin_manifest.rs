//! The manifest of a plugin.
#![no_main]

// The rest of the crate would compile for longer than all others together.
#[allow(
    dead_code,
    unused_imports,
    reason = "only a part of the module is used"
)]
#[path = "../../host/plugin/src/manifest/mod.rs"]
mod manifest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| manifest::fuzzing::plugin_manifest(data));
