//! What the two ends of a script are, and how they greet.

use sqlward_wire::mysql::encode;

/// What the two ends of a script are.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) server: u64,
    pub(crate) client: u64,
    pub(crate) version: &'static str,
}

const fn bits(all: &[u32]) -> u64 {
    let mut flags = 0;
    let mut at = 0;
    while at < all.len() {
        flags |= 1 << all[at];
        at += 1;
    }
    flags
}

/// What every end has: 4.1, plugins, attributes, databases, multi-statements, local files.
pub(crate) const BASE: u64 = bits(&[2, 3, 7, 9, 13, 15, 16, 17, 18, 19, 20, 21]);
pub(crate) const LONG_PASSWORD: u64 = 1;
pub(crate) const SSL: u64 = 1 << 11;
pub(crate) const COMPRESS: u64 = 1 << 5;
pub(crate) const TRACK: u64 = 1 << 23;
pub(crate) const DEPRECATE: u64 = 1 << 24;
pub(crate) const OPTIONAL: u64 = 1 << 25;
pub(crate) const ZSTD: u64 = 1 << 26;
pub(crate) const ATTRIBUTES: u64 = 1 << 27;
pub(crate) const PROGRESS: u64 = 1 << 32;
pub(crate) const BULK: u64 = 1 << 34;
pub(crate) const CACHE: u64 = 1 << 36;

/// MySQL with EOF packets.
pub(crate) const OLD: Ends = Ends {
    server: BASE | LONG_PASSWORD,
    client: BASE | LONG_PASSWORD,
    version: "8.4.0",
};
/// MySQL without them, and with what else it has.
pub(crate) const NEW: Ends = Ends {
    server: BASE | LONG_PASSWORD | TRACK | DEPRECATE | OPTIONAL,
    client: BASE | LONG_PASSWORD | TRACK | DEPRECATE,
    version: "9.7.0",
};
/// MySQL with query attributes.
pub(crate) const NAMED: Ends = Ends {
    server: NEW.server | ATTRIBUTES,
    client: NEW.client | ATTRIBUTES,
    version: "9.7.0",
};
/// MariaDB.
pub(crate) const MARIA: Ends = Ends {
    server: BASE | TRACK | DEPRECATE | PROGRESS | BULK | CACHE,
    client: BASE | DEPRECATE | PROGRESS | BULK | CACHE,
    version: "5.5.5-10.11.6-MariaDB",
};

/// A greeting's payload.
pub(crate) fn greeting(ends: Ends) -> Vec<u8> {
    let flags = (ends.server & 0xffff_ffff) as u32;
    let high = (ends.server >> 32) as u32;
    [
        &[10][..],
        ends.version.as_bytes(),
        &[0, 7, 0, 0, 0],
        b"12345678\0",
        &flags.to_le_bytes()[..2],
        &[45, 2, 0],
        &flags.to_le_bytes()[2..],
        &[21],
        &[0; 6],
        &high.to_le_bytes(),
        b"123456789012\0",
        b"mysql_native_password\0",
    ]
    .concat()
}

/// The front that a login and an SSLRequest have in common.
pub(crate) fn login_front(flags: u64) -> Vec<u8> {
    [
        &((flags & 0xffff_ffff) as u32).to_le_bytes()[..],
        &[0, 0, 0, 1, 45],
        &[0; 19],
        &((flags >> 32) as u32).to_le_bytes(),
    ]
    .concat()
}

/// A login's payload: user `ann`, database `db`, the plugin, one attribute.
pub(crate) fn login(flags: u64, plugin: &str, answer: &[u8]) -> Vec<u8> {
    let mut payload = login_front(flags);
    payload.extend_from_slice(b"ann\0");
    payload.extend(encode::lenenc_bytes(answer));
    payload.extend_from_slice(b"db\0");
    payload.extend_from_slice(plugin.as_bytes());
    payload.push(0);
    let pairs = [
        encode::lenenc_bytes(b"program_name"),
        encode::lenenc_bytes(b"app"),
    ]
    .concat();
    payload.extend(encode::lenenc_bytes(&pairs));
    payload
}
