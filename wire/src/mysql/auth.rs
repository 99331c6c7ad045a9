//! The exchange that authenticates a client: it passes through; of its secrets only the form is looked at.

use crate::error::{Error, Limit, Misbehaviour, Unsupported};
use crate::mysql::ok;
use crate::session::{AuthMethod, Leg};
use crate::sqlstate::ErrorCode;

/// Which legs have TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Legs {
    pub(crate) client: bool,
    pub(crate) server: bool,
}

/// The state of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Auth {
    /// The plugin of this factor.
    plugin: Vec<u8>,
    /// The plugins of the factors before.
    passed: Vec<u8>,
    /// Whether the server waits for the client.
    asked: bool,
    packets: u32,
    bytes: usize,
}

/// What a server's packet means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// It goes on.
    More,
    /// The client is in.
    Accepted,
    /// The client is not.
    Failed(ErrorCode),
}

/// The most packets and bytes of an exchange; a Kerberos ticket has up to 64 KiB.
const MAX_PACKETS: u32 = 64;
const MAX_BYTES: usize = 1024 * 1024;

/// The longest name of a plugin.
const MAX_PLUGIN: usize = 64;

const NATIVE: &[u8] = b"mysql_native_password";
const CACHING_SHA2: &[u8] = b"caching_sha2_password";
const SHA256: &[u8] = b"sha256_password";

/// Plugins whose answers don't show the password.
const VEILED: &[&[u8]] = &[
    NATIVE,
    CACHING_SHA2,
    b"client_ed25519",
    b"parsec",
    b"auth_gssapi_client",
    b"authentication_kerberos_client",
    b"authentication_ldap_sasl_client",
    b"authentication_webauthn_client",
];

impl Auth {
    /// Begins with the client's own choice of a plugin, and its first answer.
    pub(crate) fn begin(plugin: &[u8], answer: &[u8], legs: Legs) -> Result<Self, Error> {
        let mut auth = Self::default();
        auth.choose(if plugin.is_empty() { NATIVE } else { plugin });
        auth.check(answer, legs)?;
        Ok(auth)
    }

    /// Takes in a packet of the server's.
    pub(crate) fn server(&mut self, payload: &[u8], legs: Legs) -> Result<Said, Error> {
        let layout = Error::PeerMisbehaved {
            peer: Leg::Server,
            what: Misbehaviour::Layout(payload.first().copied().unwrap_or_default()),
        };
        self.count(payload)?;
        self.asked = true;
        match payload {
            [0x00, ..] => {
                self.asked = false;
                return Ok(Said::Accepted);
            }
            [0xff, ..] => return ok::error(payload).map(Said::Failed).map_err(|_| layout),
            // the switch to passwords of 3.23, which MariaDB still takes over the protocol of 4.1
            [0xfe] => self.choose(b"mysql_old_password"),
            [0xfe, switch @ ..] => self.choose(name(switch)),
            // a factor of MySQL's begins with a name; MariaDB's `dialog` asks a question by the same byte
            [0x02, factor @ ..] if factor.contains(&0) => {
                let plugin = std::mem::take(&mut self.plugin);
                self.passed.extend_from_slice(&plugin);
                self.passed.push(b'+');
                self.choose(name(factor));
            }
            [0x01, 0x03] if self.plugin == CACHING_SHA2 => self.asked = false,
            [0x01, 0x04] if self.plugin == CACHING_SHA2 && legs.client != legs.server => {
                return Err(Error::Unsupported(Unsupported::MixedTls));
            }
            [] => return Err(layout),
            [..] => {}
        }
        Ok(Said::More)
    }

    /// Takes in a packet of the client's.
    pub(crate) fn client(&mut self, payload: &[u8], legs: Legs) -> Result<(), Error> {
        self.count(payload)?;
        self.asked = false;
        self.check(payload, legs)
    }

    /// Tells whether the server waits for the client.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked
    }

    /// Tells how the client has proved who it is.
    pub(crate) fn method(&self) -> AuthMethod {
        if !self.passed.is_empty() {
            let all = [&self.passed[..], &self.plugin].concat();
            return AuthMethod::Plugin(String::from_utf8_lossy(&all).into());
        }
        match &self.plugin[..] {
            NATIVE => AuthMethod::MysqlNative,
            CACHING_SHA2 => AuthMethod::CachingSha2,
            SHA256 => AuthMethod::Sha256,
            b"client_ed25519" => AuthMethod::Ed25519,
            b"parsec" => AuthMethod::Parsec,
            b"mysql_clear_password" => AuthMethod::MysqlClear,
            other => AuthMethod::Plugin(String::from_utf8_lossy(other).into()),
        }
    }

    fn choose(&mut self, plugin: &[u8]) {
        self.plugin.clear();
        self.plugin
            .extend_from_slice(plugin.get(..MAX_PLUGIN).unwrap_or(plugin));
    }

    /// Checks that an answer means on the server's leg what it means on the client's, and shows no more.
    fn check(&self, answer: &[u8], legs: Legs) -> Result<(), Error> {
        let plugin = &self.plugin[..];
        let carried = match (legs.client, legs.server) {
            (true, true) | (false, false) => true,
            _ if matches!(answer, [] | [0]) => true,
            (false, true) => plugin != SHA256,
            (true, false) => VEILED.contains(&plugin),
        };
        if carried {
            Ok(())
        } else {
            Err(Error::Unsupported(Unsupported::MixedTls))
        }
    }

    fn count(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(payload.len());
        if self.packets > MAX_PACKETS || self.bytes > MAX_BYTES {
            return Err(too_long());
        }
        Ok(())
    }
}

/// The error for a handshake beyond its limits.
pub(crate) fn too_long() -> Error {
    Error::TooLarge {
        what: Limit::Handshake,
        limit: u64::try_from(MAX_BYTES).unwrap_or(u64::MAX),
    }
}

fn name(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: Legs = Legs {
        client: true,
        server: false,
    };
    const OTHER: Legs = Legs {
        client: false,
        server: true,
    };
    const PLAIN: Legs = Legs {
        client: false,
        server: false,
    };

    #[test]
    fn passwords_keep_their_form() {
        for (plugin, mixed, other) in [
            (&b"mysql_clear_password"[..], false, true),
            (b"sha256_password", false, false),
            (b"caching_sha2_password", true, true),
            (b"mysql_native_password", true, true),
            (b"dialog", false, true),
            (b"unheard_of", false, true),
        ] {
            assert_eq!(Auth::begin(plugin, b"secret", MIXED).is_ok(), mixed);
            assert_eq!(Auth::begin(plugin, b"secret", OTHER).is_ok(), other);
            assert!(Auth::begin(plugin, b"secret", PLAIN).is_ok());
            assert!(Auth::begin(plugin, b"\0", MIXED).is_ok());
        }
        for legs in [MIXED, OTHER] {
            let mut auth = Auth::begin(CACHING_SHA2, b"scramble", legs).unwrap();
            let error = auth.server(b"\x01\x04", legs).unwrap_err();
            assert_eq!(error, Error::Unsupported(Unsupported::MixedTls));
        }
    }

    #[test]
    fn names_the_method() {
        let mut auth = Auth::begin(b"", b"x", PLAIN).unwrap();
        assert_eq!(auth.method(), AuthMethod::MysqlNative);
        auth.server(b"\xfeparsec\0salt", PLAIN).unwrap();
        assert!(auth.is_asked());
        auth.client(b"", PLAIN).unwrap();
        assert_eq!(auth.method(), AuthMethod::Parsec);
        auth.server(b"\x02mysql_clear_password\0", PLAIN).unwrap();
        assert_eq!(
            auth.method(),
            AuthMethod::Plugin("parsec+mysql_clear_password".into())
        );
        assert_eq!(auth.server(b"\0\0\0\x02\0\0\0", PLAIN), Ok(Said::Accepted));
    }

    #[test]
    fn an_endless_exchange_ends() {
        let mut auth = Auth::begin(b"", b"", PLAIN).unwrap();
        let steps = (0..1000).take_while(|_| auth.server(b"\x01x", PLAIN).is_ok());
        assert_eq!(steps.count(), 64);
    }
}
