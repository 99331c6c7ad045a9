//! Legal holds where the store is a server's.

use std::path::Path;

use sqlward_audit_store::{STORE, holds::HoldFile};

/// What is wrong with the holds of a proxy that keeps no days itself, if anything is: a server's TTL knows none.
pub(crate) fn unhonoured(data: &Path) -> Option<String> {
    match HoldFile::of(&data.join(STORE)).read() {
        Ok(holds) if holds.standing().is_empty() => None,
        Ok(holds) => Some(format!(
            "{} legal holds stand that the ClickHouse store does not honour: its tables' TTL goes on; raise it with \
             `sqlward store migrate --retention-days`, or copy what is held",
            holds.standing().len()
        )),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_that_stand_are_found_fault_with() {
        let data = tempfile::tempdir().unwrap();
        let store = data.path().join(STORE);
        std::fs::create_dir(&store).unwrap();
        assert_eq!(unhonoured(data.path()), None);
        let said = |text: &str| {
            std::fs::write(store.join("holds.json"), text).unwrap();
            unhonoured(data.path()).unwrap_or_default()
        };
        let hold = r#"{"last":1,"holds":[{"id":1,"from_us":0,"reason":"x","by":"y","at_us":0}]}"#;
        assert!(said(hold).starts_with("1 legal holds stand"));
        assert!(said("{").contains("is no list of legal holds"));
        assert_eq!(said(r#"{"last":1,"holds":[]}"#), "");
    }
}
