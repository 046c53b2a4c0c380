//! The subprotocols that a client offers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_passthrough::fuzzing::subprotocol(data));
