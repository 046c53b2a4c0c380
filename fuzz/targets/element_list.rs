//! The engine's lists of objects.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_backend_moby::fuzzing::element_list(data));
