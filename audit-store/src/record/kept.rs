//! An intent that is kept whole while less of it is recorded.

use super::{CodecError, Entry, Intent, Writer};

/// A whole intent, encoded: should its statement fail, it is recorded after all.
#[derive(Clone, Debug)]
pub struct KeptIntent(Box<[u8]>);

impl KeptIntent {
    /// Keeps an intent; `None` if it is longer than any entry may be.
    #[must_use]
    pub fn new(intent: &Intent<'_>) -> Option<Self> {
        let parameters = intent.parameters.iter();
        let values: usize = parameters
            .map(|parameter| parameter.value.map_or(0, <[u8]>::len) + PER_PARAMETER)
            .sum();
        let text = match intent.text {
            super::Text::Sent { bytes, .. } => bytes.len(),
            super::Text::None | super::Text::Of(_) => 0,
        };
        let rules: usize = intent
            .judgement
            .rules
            .iter()
            .map(|rule| rule.len() + 10)
            .sum();
        let names = intent.prepared_name.len() + intent.portal.len();
        let words = intent.end_user.map_or(0, |user| user.name.len())
            + intent.role.map_or(0, str::len)
            + intent.trace.map_or(0, str::len);
        let mut room = vec![0; values + text + rules + names + words + FIXED];
        let mut writer = Writer::new(&mut room);
        Entry::Intent(intent.clone()).encode(&mut writer);
        let length = writer.finish().ok()?;
        room.truncate(length);
        Some(Self(room.into_boxed_slice()))
    }

    /// The intent.
    ///
    /// # Errors
    /// It was not kept by this program.
    pub fn intent(&self) -> Result<Intent<'_>, CodecError> {
        match Entry::decode(INTENT, &self.0)? {
            Entry::Intent(intent) => Ok(intent),
            _ => Err(CodecError::Invalid("kind")),
        }
    }
}

/// The kind of intents.
const INTENT: u8 = 7;
/// What a parameter takes beside its value, at most.
const PER_PARAMETER: usize = 40;
/// What an intent takes beside texts, at most.
const FIXED: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::samples::entry;

    proptest! {
        #[test]
        fn an_intent_comes_back_as_it_was(entry in entry()) {
            if let Entry::Intent(intent) = entry {
                let kept = KeptIntent::new(&intent).unwrap();
                prop_assert_eq!(kept.intent().unwrap(), intent);
            }
        }
    }
}
