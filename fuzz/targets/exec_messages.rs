//! The messages of the client of a process.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_passthrough::fuzzing::exec_messages(data));
