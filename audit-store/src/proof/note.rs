//! Signed notes, as in the C2SP specification `signed-note`: a text, an empty line, signature lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{PublicKey, Signer};

/// A text with signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed; ends with a line feed.
    pub text: String,
    /// By whom; at least one.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: [u8; 4],
    /// What behind the id stands.
    pub signature: Vec<u8>,
}

/// A text that is no note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signed note: {0}")]
pub struct NoteError(pub(crate) &'static str);

impl Note {
    /// Signs a text, which must end with a line feed and hold no empty line.
    #[must_use]
    pub fn sign(text: String, signer: &Signer) -> Self {
        let signature = NoteSignature {
            name: signer.public().name().to_owned(),
            id: signer.public().id(),
            signature: signer.sign(text.as_bytes()),
        };
        Self {
            text,
            signatures: vec![signature],
        }
    }

    /// Reads a note.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let at = note
            .rfind("\n\n")
            .ok_or(NoteError("no empty line before its signatures"))?;
        let (text, lines) = note
            .split_at_checked(at + 1)
            .ok_or(NoteError("no empty line before its signatures"))?;
        let lines = lines.strip_prefix('\n').unwrap_or(lines);
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError("its last line is cut off"))?;
        let signatures: Result<Vec<_>, _> = lines.split('\n').map(signature).collect();
        Ok(Self {
            text: text.to_owned(),
            signatures: signatures?,
        })
    }

    /// Whether one of its signatures is a good one of `key`.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signatures.iter().any(|signature| {
            signature.name == key.name()
                && signature.id == key.id()
                && key.verifies(self.text.as_bytes(), &signature.signature)
        })
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature {
            name,
            id,
            signature,
        } in &self.signatures
        {
            let bytes = [&id[..], signature].concat();
            writeln!(f, "\u{2014} {name} {}", STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

fn signature(line: &str) -> Result<NoteSignature, NoteError> {
    let (name, signature) = line
        .strip_prefix("\u{2014} ")
        .and_then(|line| line.split_once(' '))
        .ok_or(NoteError("a signature line is none"))?;
    let bytes = STANDARD
        .decode(signature)
        .map_err(|_| NoteError("a signature is not in base 64"))?;
    let (id, signature) = bytes
        .split_first_chunk::<4>()
        .ok_or(NoteError("a signature is too short"))?;
    Ok(NoteSignature {
        name: name.to_owned(),
        id: *id,
        signature: signature.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_round_trip_and_bear_their_signature() {
        let signer = Signer::generate("example.org/audit").unwrap();
        let note = Note::sign("one\ntwo\n".to_owned(), &signer);
        let read = Note::parse(&note.to_string()).unwrap();
        assert_eq!(read, note);
        assert!(read.is_signed_by(signer.public()));
        let other = Signer::generate("example.org/audit").unwrap();
        assert!(!read.is_signed_by(other.public()));
        let changed = Note {
            text: "one\ntwO\n".to_owned(),
            ..read
        };
        assert!(!changed.is_signed_by(signer.public()));
    }

    /// The example of the Go package golang.org/x/mod/sumdb/note.
    #[test]
    fn notes_of_others_verify() {
        let key: PublicKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
            .parse()
            .unwrap();
        let note = "If you think cryptography is the answer to your problem,\n\
            then you don't know what your problem is.\n\n\
            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(Note::parse(note).unwrap().is_signed_by(&key));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for bad in [
            "",
            "x\n",
            "x\n\n",
            "x\n\ny\n",
            "x\n\n\u{2014} a AAAAAAA=",
            "x\n\n\u{2014} a AA==\n",
            "x\n\n\u{2014} a !\n",
        ] {
            assert!(Note::parse(bad).is_err(), "{bad:?}");
        }
    }
}
