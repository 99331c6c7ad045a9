//! Ed25519 keys in the text forms of signed notes.
//!
//! ```text
//! public   <name>+<id, 8 hexadecimal digits>+<base 64 of 1 and 32 bytes>
//! private  PRIVATE+KEY+<name>+<id>+<base 64 of 1 and the 32 bytes of the seed>
//! ```
//! A private key's file may hold a [`Handover`] behind the key.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::note::Note;
use crate::chain::{digest, hex};

/// A key that checkpoints can be verified with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

/// A key that signs checkpoints.
pub struct Signer {
    public: PublicKey,
    pair: Ed25519KeyPair,
    seed: [u8; 32],
    handover: Option<Handover>,
}

/// An old key's signature under a new one: who trusts the old key can trust the new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    note: Note,
    /// The new key.
    pub to: PublicKey,
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not in the form of a key.
    #[error("no key: {0}")]
    Form(&'static str),
    /// The file can't be read or written.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{path}`: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The system has no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
}

impl PublicKey {
    fn new(name: &str, key: [u8; 32]) -> Result<Self, KeyError> {
        if name.is_empty() || name.contains('+') || name.chars().any(char::is_whitespace) {
            return Err(KeyError::Form(
                "a name without spaces and plus signs is expected",
            ));
        }
        let hash = digest(&[name.as_bytes(), b"\n", &[ALGORITHM], &key].concat());
        let id = hash.first_chunk().copied().unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            id,
            key,
        })
    }

    /// Its name, which is the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id: tells keys of one name apart.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Name and id, for people.
    #[must_use]
    pub fn label(&self) -> String {
        label(&self.name, self.id)
    }

    pub(crate) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.key);
        key.verify(text, signature).is_ok()
    }
}

/// Name and id of a key, for people.
pub(crate) fn label(name: &str, id: [u8; 4]) -> String {
    format!("{name}+{}", hex(&id))
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ALGORITHM][..], &self.key].concat());
        write!(f, "{}+{}+{key}", self.name, hex(&self.id))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form("NAME+ID+KEY is expected"));
        };
        let public = Self::new(name, bytes_of(key)?)?;
        if hex(&public.id) == id {
            Ok(public)
        } else {
            Err(KeyError::Form("its id is not the one of its bytes"))
        }
    }
}

fn bytes_of(key: &str) -> Result<[u8; 32], KeyError> {
    match STANDARD.decode(key).as_deref() {
        Ok([ALGORITHM, key @ ..]) => key
            .try_into()
            .map_err(|_| KeyError::Form("an Ed25519 key has 32 bytes")),
        Ok(_) => Err(KeyError::Form("it is none of Ed25519")),
        Err(_) => Err(KeyError::Form("its bytes are not in base 64")),
    }
}

impl Signer {
    /// Makes a new key.
    ///
    /// # Errors
    /// Where the name can't be one, or the system has no random numbers.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| KeyError::Random)?;
        Self::from_seed(name, seed)
    }

    fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| KeyError::Form("its bytes are no Ed25519 key"))?;
        let key = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Form("an Ed25519 key has 32 bytes"))?;
        Ok(Self {
            public: PublicKey::new(name, key)?,
            pair,
            seed,
            handover: None,
        })
    }

    /// Makes a new key of the same name, and signs it with this one.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn succeed(&self) -> Result<Self, KeyError> {
        let mut new = Self::generate(self.public.name())?;
        let text = format!("{HANDOVER}\n{}\n", new.public);
        new.handover = Some(Handover {
            note: Note::sign(text, self),
            to: new.public.clone(),
        });
        Ok(new)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The old key's word for this one, where there is an old one.
    #[must_use]
    pub fn handover(&self) -> Option<&Handover> {
        self.handover.as_ref()
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(text).as_ref().to_vec()
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// Where the file is there already or can't be written.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        use std::os::unix::fs::OpenOptionsExt;
        let (name, id) = (&self.public.name, hex(&self.public.id));
        let seed = STANDARD.encode([&[ALGORITHM][..], &self.seed].concat());
        let handover = self.handover.as_ref().map(|handover| &handover.note);
        let write = || {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            writeln!(file, "{PRIVATE}{name}+{id}+{seed}")?;
            if let Some(note) = handover {
                write!(file, "{note}")?;
            }
            file.sync_all()
        };
        write().map_err(|source| KeyError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a key that [`Signer::write`] wrote.
    ///
    /// # Errors
    /// Where the file can't be read, others can read it, too, or it holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt;
        let text = read_file(path)?;
        let wrong = |what: String| KeyError::File {
            path: path.to_owned(),
            what,
        };
        let mode = path
            .metadata()
            .map(|metadata| metadata.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            return Err(wrong(
                "others than its owner can read it: chmod 600".to_owned(),
            ));
        }
        Self::parse(&text).map_err(|error| wrong(error.to_string()))
    }

    fn parse(text: &str) -> Result<Self, KeyError> {
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        let mut parts = line
            .strip_prefix(PRIVATE)
            .ok_or(KeyError::Form("PRIVATE+KEY+… is expected"))?
            .splitn(3, '+');
        let (Some(name), Some(id), Some(seed)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form("PRIVATE+KEY+NAME+ID+SEED is expected"));
        };
        let mut signer = Self::from_seed(name, bytes_of(seed)?)?;
        if hex(&signer.public.id) != id {
            return Err(KeyError::Form("its id is not the one of its bytes"));
        }
        if !rest.trim().is_empty() {
            let handover: Handover = rest.parse()?;
            if handover.to != signer.public {
                return Err(KeyError::Form("the handover is to another key"));
            }
            signer.handover = Some(handover);
        }
        Ok(signer)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public.label())
    }
}

impl Handover {
    /// Whether `key` has signed it.
    #[must_use]
    pub fn is_from(&self, key: &PublicKey) -> bool {
        self.note.is_signed_by(key)
    }
}

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl FromStr for Handover {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let form = "the handover can't be read";
        let note = Note::parse(text).map_err(|_| KeyError::Form(form))?;
        let to = note
            .text
            .strip_prefix(HANDOVER)
            .ok_or(KeyError::Form(form))?
            .trim()
            .parse()?;
        Ok(Self { note, to })
    }
}

/// Reads public keys, one a line; empty lines and `#` lines don't count.
///
/// # Errors
/// Where the file can't be read or a line is no key, or there is none.
pub fn read_public_keys(path: &Path) -> Result<Vec<PublicKey>, KeyError> {
    let text = read_file(path)?;
    let wrong = |what: String| KeyError::File {
        path: path.to_owned(),
        what,
    };
    let lines = text.lines().map(str::trim);
    let keys: Result<Vec<PublicKey>, KeyError> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            line.parse()
                .map_err(|error: KeyError| wrong(error.to_string()))
        })
        .collect();
    let keys = keys?;
    if keys.is_empty() {
        return Err(wrong("it holds no public key".to_owned()));
    }
    Ok(keys)
}

fn read_file(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|source| KeyError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The byte that says Ed25519 in signed notes.
const ALGORITHM: u8 = 1;

const PRIVATE: &str = "PRIVATE+KEY+";

/// The first line of a handover.
const HANDOVER: &str = "sqlward audit key handover";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_through_private_files() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let signer = Signer::generate("example.org/audit").unwrap();
        signer.write(&path).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = Signer::read(&path).unwrap();
        assert_eq!(read.public(), signer.public());
        assert!(read.public().verifies(b"x", &signer.sign(b"x")));
        assert!(signer.write(&path).is_err(), "never over another key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Signer::read(&path).is_err());
        assert!(!format!("{signer:?}").contains(&STANDARD.encode(signer.seed)));
        let public: PublicKey = signer.public().to_string().parse().unwrap();
        assert_eq!(&public, signer.public());
    }

    #[test]
    fn a_successor_has_the_word_of_the_old_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let old = Signer::generate("example.org/audit").unwrap();
        let new = old.succeed().unwrap();
        new.write(&path).unwrap();
        let read = Signer::read(&path).unwrap();
        let handover = read.handover().unwrap();
        assert!(handover.is_from(old.public()) && !handover.is_from(new.public()));
        assert_eq!(&handover.to, new.public());
        assert_eq!(&handover.to_string().parse::<Handover>().unwrap(), handover);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in [
            "",
            "a",
            "a+00000000+AQ==",
            "+00000000+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
        assert!(Signer::generate("with space").is_err());
    }
}
