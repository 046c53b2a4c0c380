//! The query of a request for a process.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_passthrough::fuzzing::exec_query(data));
