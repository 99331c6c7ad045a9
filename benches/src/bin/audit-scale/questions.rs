//! What an auditor waits for.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlward_audit_store::STORE;
use sqlward_audit_store::query::{Archive, AuditQuery, Dimension, Measure};

use crate::load::{DAY, NOW, SESSIONS, session, user};
use crate::{show, timed};

/// Asks each question three times, as [`Archive`] does for the command line, and prints the slowest answer's times.
pub(crate) fn ask(data: &Path, count: u32) -> Result<()> {
    let archive = Archive::open(&data.join(STORE))?;
    let hundred = AuditQuery {
        limit: Some(100),
        ..AuditQuery::default()
    };
    let hour = AuditQuery {
        user: vec![user(7)],
        from: Some(NOW + DAY / 2),
        to: Some(NOW + DAY / 2 + DAY / 24),
        ..hundred.clone()
    };
    let of_session = AuditQuery {
        session: Some(session(SESSIONS / 2)),
        ..hundred.clone()
    };
    let containing = |text: String| AuditQuery {
        text: Some(text),
        ..hundred.clone()
    };
    let rare = containing(format!("note {}'", count / 2 / 3 * 3));
    let searches = [
        ("newest 100", hundred.clone(), true),
        ("100 of a session", of_session, true),
        ("100 of a user in an hour", hour.clone(), true),
        ("a text that occurs once", rare, true),
        (
            "100 of a text that occurs often",
            containing("table3 ".into()),
            true,
        ),
        (
            "a text that occurs never",
            containing("nowhere to be found".into()),
            false,
        ),
    ];
    for (what, query, some) in searches {
        timed_thrice(what, || Ok((!archive.search(&query)?.is_empty(), some)))?;
    }
    let everything = AuditQuery::default();
    let whole_hour = AuditQuery {
        limit: None,
        ..hour
    };
    let tops = [
        (
            "top fingerprints of the day",
            Dimension::Fingerprint,
            &everything,
        ),
        ("top users of the day", Dimension::User, &everything),
        (
            "top fingerprints of a user in an hour",
            Dimension::Fingerprint,
            &whole_hour,
        ),
    ];
    for (what, dimension, query) in tops {
        timed_thrice(what, || {
            let top = archive.top(dimension, Measure::Count, query, 10)?;
            Ok((top.len() == 10, true))
        })?;
    }
    Ok(())
}

/// `ask` answers whether something was found, and whether it should have been.
fn timed_thrice(what: &str, mut ask: impl FnMut() -> Result<(bool, bool)>) -> Result<()> {
    let (mut slowest, mut busiest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..3 {
        let ((found, expected), took, used) = timed(&mut ask)?;
        ensure!(found == expected, "{what}: found: {found}");
        slowest = slowest.max(took);
        busiest = busiest.max(used);
    }
    show(what, slowest, busiest);
    Ok(())
}
