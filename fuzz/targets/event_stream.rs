//! The engine's stream of events.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_backend_moby::fuzzing::event_stream(data));
