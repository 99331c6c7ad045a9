//! Auditors are audited: what is asked is noted before it is answered.

use std::path::Path;

use anyhow::{Context, Result};
use sqlward_audit_store::inbox;

/// Note a question to the store of `data`: the command line, and how many rows the answer has.
///
/// # Errors
/// It can't be noted: then it must not be answered.
pub(crate) fn note(data: &Path, rows: usize) -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    inbox::note(data, &line(&words), u64::try_from(rows).unwrap_or(u64::MAX)).with_context(|| {
        format!(
            "the question can't be noted in `{}`, so that it is not answered",
            data.join("inbox").display()
        )
    })
}

/// A command line as a shell would take it.
fn line(words: &[String]) -> String {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | ',' | '@');
    let quoted = words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_repeated() {
        let words = ["audit", "sql", "SELECT 'a'", ""].map(str::to_owned);
        assert_eq!(line(&words), r"audit sql 'SELECT '\''a'\''' ''");
    }
}
