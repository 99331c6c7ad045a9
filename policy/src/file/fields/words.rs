//! Lists of words that fields take.

use crate::rule::words::Word;
use crate::vocabulary::Access;

/// The words of a vocabulary.
pub(super) fn words<T: Word>() -> Vec<&'static str> {
    T::WORDS.iter().map(|word| word.text()).collect()
}

/// The words of `access`: those of the vocabulary, and two that stand for several.
pub(in crate::file) fn access_words() -> Vec<&'static str> {
    let mut all = words::<Access>();
    all.extend(["write", "any"]);
    all
}

/// The actions that a default may have.
pub(in crate::file) fn default_actions() -> Vec<&'static str> {
    vec!["allow", "deny"]
}

/// The actions that the default for unreadable statements may have.
pub(in crate::file) fn unreadable_actions() -> Vec<&'static str> {
    vec!["deny", "alert", "allow"]
}

/// The choices for a failing audit.
pub(in crate::file) fn audit_failures() -> Vec<&'static str> {
    vec!["block", "allow"]
}

/// What escalations lead to.
pub(in crate::file) fn consequences() -> Vec<&'static str> {
    vec!["alert", "terminate", "block"]
}

/// What stands in for what is redacted.
pub(in crate::file) fn hows() -> Vec<&'static str> {
    vec!["mask", "hash"]
}

/// What redaction does to a parameter.
pub(in crate::file) fn fates() -> Vec<&'static str> {
    vec!["keep", "mask", "hash"]
}
