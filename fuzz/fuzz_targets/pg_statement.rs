#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sqlward_policy::statement::fuzzing::statement_on_stack(data));
