//! Bytes for `weir_checks::offsets`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_checks::offsets(data));
