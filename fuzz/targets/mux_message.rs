//! The messages of a client that reads many logs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_passthrough::fuzzing::mux_message(data));
