//! Bytes for `weir_checks::file_recovery`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_checks::file_recovery(data));
