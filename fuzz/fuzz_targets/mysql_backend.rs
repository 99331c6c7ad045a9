#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sqlward_wire::fuzzing::mysql_backend(data));
