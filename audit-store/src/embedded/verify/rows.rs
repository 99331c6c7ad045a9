//! Rows against their entries.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{Presence, Verifier};
use crate::embedded::compare::{self, Comparison};
use crate::embedded::error::StoreError;
use crate::embedded::flat;
use crate::ship::rows::{AdminRow, Emitted, EventRow, StatementRow};
use crate::time::Day;

impl Verifier<'_> {
    pub(super) fn check_rows(&mut self, out: Emitted) -> Result<(), StoreError> {
        for payload in &out.shapes {
            if let Ok(shape) = flat::shape(payload) {
                self.shapes.insert(shape.key, compare::shape_digest(&shape));
            }
        }
        for row in &out.statements {
            self.check_statement(row, Presence::Required)?;
        }
        for (day, key) in out.removals {
            // It was right that it is absent; where it is not, nothing explains it.
            if !self.absent.remove(&(day, key))
                && let Some([statements, ..]) = self.explained.get_mut(&day)
            {
                *statements = statements.saturating_sub(1);
            }
        }
        for row in &out.events {
            self.check_event(row)?;
        }
        for row in &out.admins {
            self.check_admin(row)?;
        }
        Ok(())
    }

    pub(super) fn check_statement(
        &mut self,
        row: &StatementRow,
        presence: Presence,
    ) -> Result<(), StoreError> {
        let Some((path, connection)) = self.days.get(&row.day) else {
            return self.check_elsewhere(row, presence);
        };
        let path = path.clone();
        let found =
            compare::statement(connection, row, &self.shapes).map_err(StoreError::sqlite(&path))?;
        let counts = self.explained.entry(row.day).or_default();
        match found {
            Comparison::Absent => {
                if presence == Presence::Required {
                    self.absent.insert((row.day, row.key));
                }
                return Ok(());
            }
            Comparison::Same {
                unknown_session,
                unknown_text,
            } => {
                self.report.unknown_sessions += u64::from(unknown_session);
                self.report.unknown_texts += u64::from(unknown_text);
            }
            Comparison::Differs(columns) => {
                let what = format!("the row was changed: {}", columns.join(", "));
                self.report.add(&path, Some(row.key), what);
            }
        }
        let [statements, ..] = counts;
        *statements += 1;
        self.report.rows += 1;
        Ok(())
    }

    /// A row of a day whose file is not open: one that was let go, or that does not exist.
    pub(super) fn check_elsewhere(
        &mut self,
        row: &StatementRow,
        presence: Presence,
    ) -> Result<(), StoreError> {
        match self.archive.day(row.day)? {
            Some((path, connection)) => {
                self.days.insert(row.day, (path, connection));
                self.check_statement(row, presence)
            }
            None => {
                if presence == Presence::Required {
                    self.absent.insert((row.day, row.key));
                }
                Ok(())
            }
        }
    }

    pub(super) fn check_event(&mut self, row: &EventRow) -> Result<(), StoreError> {
        let Some((path, connection)) = self.day_of(row.day)? else {
            return Ok(());
        };
        let found = compare::event(connection, row).map_err(StoreError::sqlite(&path))?;
        self.note(row.day, 1, row.key, &path, &found, "session event");
        Ok(())
    }

    pub(super) fn check_admin(&mut self, row: &AdminRow) -> Result<(), StoreError> {
        let Some((path, connection)) = self.day_of(row.day)? else {
            return Ok(());
        };
        let found = compare::admin(connection, row).map_err(StoreError::sqlite(&path))?;
        self.note(row.day, 2, row.key, &path, &found, "administrative entry");
        Ok(())
    }

    pub(super) fn day_of(
        &mut self,
        day: Day,
    ) -> Result<Option<(PathBuf, &Connection)>, StoreError> {
        if !self.days.contains_key(&day)
            && let Some(opened) = self.archive.day(day)?
        {
            self.days.insert(day, opened);
        }
        Ok(self
            .days
            .get(&day)
            .map(|(path, connection)| (path.clone(), connection)))
    }

    pub(super) fn note(
        &mut self,
        day: Day,
        kind: usize,
        key: i64,
        path: &Path,
        found: &Comparison,
        what: &str,
    ) {
        match found {
            Comparison::Absent => {
                self.report
                    .add(path, Some(key), format!("a {what} was removed"));
                return;
            }
            Comparison::Differs(columns) => {
                let what = format!("a {what} was changed: {}", columns.join(", "));
                self.report.add(path, Some(key), what);
            }
            Comparison::Same { .. } => {}
        }
        if let Some(count) = self.explained.entry(day).or_default().get_mut(kind) {
            *count += 1;
        }
    }

    /// Every shape of a day must be what its entry said, where that entry is still kept.
    pub(super) fn check_shapes(&mut self, day: Day) -> Result<(), StoreError> {
        let Some((path, connection)) = self.days.get(&day) else {
            return Ok(());
        };
        let changed =
            compare::changed_shapes(connection, &self.shapes).map_err(StoreError::sqlite(path))?;
        for key in changed {
            let what = format!("the shape {} was changed", crate::chain::hex(&key));
            self.report.add(path, None, what);
        }
        Ok(())
    }
}
