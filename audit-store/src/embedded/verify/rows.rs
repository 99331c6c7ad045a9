//! What day files say against what the entries say.

use std::path::Path;

use super::{ADMINS, CARRIED, EVENTS, Presence, REMOVALS, Verifier};
use crate::embedded::Packed;
use crate::embedded::compare::{self, Comparison};
use crate::embedded::error::StoreError;
use crate::embedded::flat;
use crate::event::{Seq, row_key};
use crate::ship::rows::{AdminRow, Emitted, EventRow, StatementRow};
use crate::time::Day;

impl Verifier<'_> {
    pub(super) fn note_shapes(&mut self, out: &Emitted) {
        for payload in &out.shapes {
            if let Ok(shape) = flat::shape(payload) {
                self.shapes.insert(shape.key, compare::shape_digest(&shape));
            }
        }
    }

    /// A block's directory, speakers and summary.
    pub(super) fn check_directory(
        &mut self,
        day: Day,
        path: &Path,
        packed: &Packed,
    ) -> Result<(), StoreError> {
        let Some((_, connection)) = self.days.get(&day) else {
            return Ok(());
        };
        let differing = compare::block(connection, packed).map_err(StoreError::sqlite(path))?;
        let known = packed
            .shapes
            .iter()
            .flatten()
            .filter(|key| self.shapes.contains_key(*key));
        let mut missing = Vec::new();
        for key in known {
            let stored = connection
                .prepare_cached("SELECT 1 FROM shape WHERE key = ?")
                .and_then(|mut select| select.exists([key]))
                .map_err(StoreError::sqlite(path))?;
            if !stored {
                missing.push(*key);
            }
        }
        self.report.rows += packed.statements;
        self.report.unknown_sessions += packed.unknown_sessions();
        self.report.unknown_texts += packed.unknown_texts;
        if !differing.is_empty() {
            let what = format!("the block's rows were changed: {}", differing.join(", "));
            self.report.add(path, Some(packed.id()), what);
        }
        for key in missing {
            let what = format!("the shape {} was removed", crate::chain::hex(&key));
            self.report.add(path, None, what);
        }
        Ok(())
    }

    /// What a block's entries say beside its directory.
    pub(super) fn check_rows(
        &mut self,
        out: Emitted,
        day: Day,
        block: i64,
    ) -> Result<(), StoreError> {
        for row in &out.statements {
            let ended = if row.day == day { block } else { 0 };
            self.check_statement(row, Some(ended), Presence::Required)?;
        }
        for row in &out.lost {
            self.check_statement(row, Some(0), Presence::Required)?;
        }
        let (lane, _) = crate::event::split_row_key(block);
        for (day, prepare) in out.removals {
            self.check_removal(day, lane, prepare)?;
        }
        for row in &out.events {
            self.check_event(row)?;
        }
        for row in &out.admins {
            self.check_admin(row)?;
        }
        Ok(())
    }

    /// A statement that is stored whole.
    pub(super) fn check_statement(
        &mut self,
        row: &StatementRow,
        block: Option<i64>,
        presence: Presence,
    ) -> Result<(), StoreError> {
        let found = match self.days.get(&row.day) {
            Some((path, connection)) => {
                compare::carried(connection, row, block).map_err(StoreError::sqlite(path))?
            }
            // A day that was let go, or that does not exist.
            None => Comparison::Absent,
        };
        match found {
            Comparison::Absent => {
                if presence == Presence::Required {
                    self.absent.insert((row.day, row.key()));
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
                if let Some((path, _)) = self.days.get(&row.day) {
                    let what = format!("the row was changed: {}", columns.join(", "));
                    self.report.add(path, Some(row.key()), what);
                }
            }
        }
        self.explain(row.day, CARRIED);
        self.report.rows += 1;
        self.sum_carried(row)
    }

    /// The row of a prepare that an execution has taken over: it is gone from where it stood whole, or marked as
    /// removed from a directory.
    fn check_removal(&mut self, day: Day, lane: u16, prepare: Seq) -> Result<(), StoreError> {
        let key = row_key(lane, prepare);
        let gone = self.absent.remove(&(day, key));
        let Some((path, connection)) = self.days.get(&day) else {
            return Ok(());
        };
        let marked = connection
            .prepare_cached("SELECT 1 FROM removed WHERE id = ?")
            .and_then(|mut select| select.exists([key]))
            .map_err(StoreError::sqlite(path))?;
        match (gone, marked) {
            (true, _) => {}
            (false, true) => self.report.rows = self.report.rows.saturating_sub(1),
            (false, false) => {
                let what = "a statement's row is back that its execution has taken over";
                self.report.add(path, Some(key), what);
            }
        }
        if marked {
            self.explain(day, REMOVALS);
        }
        Ok(())
    }

    pub(super) fn check_event(&mut self, row: &EventRow) -> Result<(), StoreError> {
        let Some((path, connection)) = self.days.get(&row.day) else {
            return Ok(());
        };
        let path = path.clone();
        let found = compare::event(connection, row).map_err(StoreError::sqlite(&path))?;
        self.note(row.day, EVENTS, row.key, &path, &found, "session event");
        Ok(())
    }

    pub(super) fn check_admin(&mut self, row: &AdminRow) -> Result<(), StoreError> {
        let Some((path, connection)) = self.days.get(&row.day) else {
            return Ok(());
        };
        let path = path.clone();
        let found = compare::admin(connection, row).map_err(StoreError::sqlite(&path))?;
        self.note(
            row.day,
            ADMINS,
            row.key,
            &path,
            &found,
            "administrative entry",
        );
        Ok(())
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
                    .add(path, Some(key), format!("the {what} was removed"));
                return;
            }
            Comparison::Differs(columns) => {
                let what = format!("the {what} was changed: {}", columns.join(", "));
                self.report.add(path, Some(key), what);
            }
            Comparison::Same { .. } => {}
        }
        self.explain(day, kind);
    }

    fn explain(&mut self, day: Day, kind: usize) {
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
        let stray = compare::stray_objects(connection).map_err(StoreError::sqlite(path))?;
        for key in changed {
            let what = format!("the shape {} was changed", crate::chain::hex(&key));
            self.report.add(path, None, what);
        }
        if stray > 0 {
            let what = format!("{stray} objects of shapes that do not exist");
            self.report.add(path, None, what);
        }
        Ok(())
    }
}
