//! The text of a cursor.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_passthrough::fuzzing::cursor(data));
