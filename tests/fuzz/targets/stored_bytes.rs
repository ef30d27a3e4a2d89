//! What stands on disk: keys, values of every family, and RocksDB's logs as they are looked through before they are opened. Damage is
//! told as damage, and what can be read is written as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stonetown::storage::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    let Some((&what, bytes)) = bytes.split_first() else { return };
    match what % 16 {
        0 => fuzzing::log(bytes),
        1 => fuzzing::log_of_records(bytes),
        2 => fuzzing::key(bytes),
        3 => {
            let middle = bytes.iter().position(|&byte| byte == b'|').unwrap_or(0);
            let (key, value) = bytes.split_at(middle);
            fuzzing::change(key, value.get(1..).unwrap_or_default());
        }
        family => fuzzing::value(usize::from(family) - 4, bytes),
    }
});
