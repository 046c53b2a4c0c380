//! The engine's stream of a log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_backend_moby::fuzzing::log_stream(data));
