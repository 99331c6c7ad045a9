//! Keys that are replaced, with and without a handover.

use std::sync::Arc;

use sqlward_audit_store::proof::key_record;
use sqlward_audit_store::record::{Admin, AdminAction, Entry};

use crate::help::*;
use crate::support::*;

#[test]
fn a_key_is_replaced_with_the_old_ones_word() {
    let data = tempfile::tempdir().unwrap();
    let old = signer();
    run_proxy(data.path(), &old, 0);
    let new = Arc::new(old.succeed().unwrap());
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    let record = key_record(&new, Some(&old.public().label()));
    lane.append(&Entry::Admin(Admin {
        at_us: NOW + DAY_US,
        action: AdminAction::SigningKey,
        actor: "start",
        detail: &record,
        generation: 0,
        config_hash: None,
        count: 0,
    }))
    .unwrap();
    drop(lane);
    stop(audit);
    run_proxy(data.path(), &new, 1);
    for key in [&old, &new] {
        let found = findings(data.path(), &trust(&[key.public()], None));
        assert_eq!(found, Vec::<String>::new(), "{key:?}");
    }
    let stranger = signer();
    let found = findings(data.path(), &trust(&[stranger.public()], None));
    expect(&found, "is signed by another key");
}

/// A checkpoint that claims to be of a replaced key proves nothing: its signature can't be checked.
#[test]
fn a_replaced_key_vouches_for_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (old, new) = (signer(), signer());
    run_proxy(data.path(), &old, 0);
    let (audit, _) = open(data.path());
    let mut lane = audit.lane(0).unwrap();
    let record = key_record(&new, Some(&old.public().label()));
    lane.append(&Entry::Admin(Admin {
        at_us: NOW + DAY_US,
        action: AdminAction::SigningKey,
        actor: "start",
        detail: &record,
        generation: 0,
        config_hash: None,
        count: 0,
    }))
    .unwrap();
    drop(lane);
    stop(audit);
    run_proxy(data.path(), &new, 1);
    assert_eq!(
        findings(data.path(), &trust(&[new.public()], None)),
        Vec::<String>::new()
    );
    // No handover: who trusts the old key has no reason to trust the new one.
    let found = findings(data.path(), &trust(&[old.public()], None));
    expect(&found, "is signed by another key");
    // Everything signed by the new key goes, what the old one said stays.
    edit(
        &store(data.path(), "main.db"),
        "DELETE FROM checkpoint WHERE id > 1",
    );
    let found = findings(data.path(), &trust(&[new.public()], None));
    expect(&found, "no checkpoint of a trusted key fits");
}
