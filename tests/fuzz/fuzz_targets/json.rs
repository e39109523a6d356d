//! Bytes for `weir_checks::json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_checks::json(data));
