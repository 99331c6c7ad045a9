//! Checks bundles: with nothing but the file, and the key that is trusted.

use std::path::Path;

use super::BundleError;
use super::compare::compare;
use super::export::Range;
use super::fill::{Filled, fill};
use super::format::{ADMINISTRATION, LANES, MANIFEST, Manifest, SESSIONS, STATEMENTS, TREE};
use super::parts::Parts;
use crate::embedded::{ChainReport, Finding, Trust};
use crate::event::SessionId;
use crate::proof::leaf::Leaf;
use crate::time::{Day, rfc3339};

/// What was found in a bundle.
#[derive(Clone, Debug)]
pub struct BundleReport {
    /// What the bundle says of itself.
    pub manifest: Option<Manifest>,
    /// What its blocks, tree and checkpoints say, and everything that is wrong: each with the file of the bundle.
    pub chain: ChainReport,
    /// How many statements, steps of sessions, and administrative records its blocks have in its range.
    pub records: [u64; 3],
    /// What is not proved, though nothing is wrong.
    pub notes: Vec<String>,
}

/// Checks a bundle against trusted keys and witnessed checkpoints, and that it covers the span of time that was asked
/// for, in µs since 1970.
///
/// # Errors
/// Where the file can't be read, or there is no room for it in the temporary directory. What is wrong with it is no
/// error but a finding.
pub fn verify(
    path: &Path,
    trust: &Trust,
    asked: (Option<u64>, Option<u64>),
) -> Result<BundleReport, BundleError> {
    let mut report = BundleReport {
        manifest: None,
        chain: ChainReport::default(),
        records: [0; 3],
        notes: Vec::new(),
    };
    match check(path, trust, asked, &mut report) {
        // What is no bundle, or not a whole one.
        Err(BundleError::Form(what)) => report.find("", what),
        other => other?,
    }
    Ok(report)
}

fn check(
    path: &Path,
    trust: &Trust,
    asked: (Option<u64>, Option<u64>),
    report: &mut BundleReport,
) -> Result<(), BundleError> {
    let parts = Parts::unpack(path)?;
    report.manifest = Some(parts.manifest.clone());
    for (name, what) in &parts.changed {
        report.find(name, what);
    }
    let manifest = &parts.manifest;
    let filled = fill(&parts.files)?;
    for (name, what) in &filled.wrong {
        report.find(name, what);
    }
    let mut trust = trust.clone();
    trust.key_records.extend(filled.key_records.iter().cloned());
    let chain = filled.archive.verify_against(&trust, &filled.scope)?;
    let earlier = std::mem::replace(&mut report.chain, chain).findings;
    for finding in &mut report.chain.findings {
        // Its files are no one's but ours.
        finding.file = "blocks".into();
    }
    report.chain.findings.splice(0..0, earlier);
    let range = Range {
        from_us: manifest.from_us,
        to_us: manifest.to_us,
        session: manifest.session.map(SessionId),
    };
    report.covers(manifest, &filled, asked);
    report.borders(&range, &filled);
    let files = [STATEMENTS, SESSIONS, ADMINISTRATION];
    for (place, name) in files.into_iter().enumerate() {
        let open = || parts.files.lines(name);
        let (records, wrong) = compare(&filled.archive, &range, name, open)?;
        if let Some(count) = report.records.get_mut(place) {
            *count = records;
        }
        for what in wrong {
            report.find(name, what);
        }
    }
    if filled.unproved_shapes > 0 {
        report.notes.push(format!(
            "{} analyses (normal form, verbs, objects, columns, functions) were written before the range and are not \
             proved; texts are",
            filled.unproved_shapes
        ));
    }
    Ok(())
}

impl BundleReport {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.chain.is_intact()
    }

    fn find(&mut self, file: &str, what: impl Into<String>) {
        if self.chain.findings.len() < MOST_FINDINGS {
            self.chain.findings.push(Finding {
                file: file.into(),
                lane: None,
                seq: None,
                what: what.into(),
            });
        }
    }

    /// What the manifest claims must be what was asked for, and what the rest of the bundle can show.
    fn covers(
        &mut self,
        manifest: &Manifest,
        filled: &Filled,
        (from, to): (Option<u64>, Option<u64>),
    ) {
        if from.is_some_and(|from| from < manifest.from_us)
            || to.is_some_and(|to| manifest.to_us < to)
        {
            let (from, to) = (rfc3339(manifest.from_us), rfc3339(manifest.to_us));
            self.find(MANIFEST, format!("it covers only {from} to {to}"));
        }
        let said = [&manifest.from, &manifest.to];
        if said != [&rfc3339(manifest.from_us), &rfc3339(manifest.to_us)] {
            self.find(MANIFEST, "its times contradict each other");
        }
        let newest = filled.checkpoints.iter().max_by_key(|one| one.size);
        if newest.is_some_and(|one| one.origin != manifest.origin) {
            self.find(MANIFEST, "its origin is not that of the checkpoint");
        }
        let until = newest.and_then(|one| one.time_us()).unwrap_or(0);
        if until < manifest.to_us {
            let (to, until) = (rfc3339(manifest.to_us), rfc3339(until));
            let what = format!(
                "the range until {to} is claimed, and its checkpoint is of {until}: what was recorded later is missing"
            );
            self.find(MANIFEST, what);
        }
        let (first, behind) = filled.scope.bounds();
        if (first, behind) != (manifest.first_leaf, manifest.behind_leaf) {
            let what = format!(
                "blocks of the leaves {} to {} are claimed, those of {first} to {behind} are here",
                manifest.first_leaf, manifest.behind_leaf
            );
            self.find(MANIFEST, what);
        }
    }

    /// Nothing of the range may lie before the first block or behind the last one.
    fn borders(&mut self, range: &Range, filled: &Filled) {
        let newest = filled.checkpoints.iter().max_by_key(|one| one.size);
        let pruned = newest.is_some_and(|one| one.kept.from > Day(0));
        for (lane, seen) in &filled.lanes {
            let inside = seen.times.is_none_or(|(first, _)| first >= range.from_us);
            match seen.before_us {
                _ if !inside || seen.first <= 1 => {}
                // It may be behind the range, where the clock was set back.
                Some(at_us) if !(range.from_us..range.to_us).contains(&at_us) => {}
                None if pruned => self.notes.push(format!(
                    "lane {lane}: what was before entry {} was let go by retention, and can't be shown to be outside of \
                     the range",
                    seen.first
                )),
                Some(_) | None => {
                    let what = format!(
                        "lane {lane}: a block is missing: entries of the range may stand before entry {}",
                        seen.first
                    );
                    self.find(LANES, what);
                }
            }
        }
        let (_, behind) = filled.scope.bounds();
        let last_day = Day::of(range.to_us.saturating_sub(1));
        for (position, data) in &filled.leaves {
            let Some(leaf) = Leaf::decode(data).filter(|_| *position >= behind) else {
                continue;
            };
            let seen = filled.lanes.get(&leaf.lane).and_then(|seen| seen.times);
            let closed = seen.is_some_and(|(_, latest)| latest >= range.to_us);
            if leaf.day <= last_day && !closed {
                let what = format!(
                    "a block of the range is missing: leaf {position}, {}",
                    leaf.label()
                );
                self.find(TREE, what);
            }
        }
    }
}

const MOST_FINDINGS: usize = 1000;
