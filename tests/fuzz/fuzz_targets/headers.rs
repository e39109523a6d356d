//! Bytes for `weir_checks::headers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_checks::headers(data));
