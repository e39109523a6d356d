//! Bytes for `weir_checks::names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_checks::names(data));
