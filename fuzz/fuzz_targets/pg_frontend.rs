#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sqlward_wire::fuzzing::pg_frontend(data));
