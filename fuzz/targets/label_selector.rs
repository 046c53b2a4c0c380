//! Label selectors.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rdd_apiserver::fuzzing::label_selector(data));
