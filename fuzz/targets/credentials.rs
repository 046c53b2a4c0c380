//! The credentials of a request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_gateway::fuzzing::credentials(data));
