//! The sums per minute against what the statements add up to.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::{Packed, Verifier};
use crate::embedded::day::SpeakerIds;
use crate::embedded::error::StoreError;
use crate::embedded::rollup::{Rollups, Sums};
use crate::embedded::schema;
use crate::ship::rows::StatementRow;
use crate::ship::subject::Speaker;
use crate::time::{Day, rfc3339};

/// Sums anew, per day, each in a temporary file of SQLite's: they may be more than memory should hold.
#[derive(Default)]
pub(super) struct Anew {
    days: HashMap<Day, Connection>,
}

impl Anew {
    fn add(&mut self, day: Day, sums: &Rollups) -> rusqlite::Result<()> {
        let connection = match self.days.entry(day) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let connection = Connection::open("")?;
                connection.execute_batch(schema::DAY)?;
                new.insert(connection)
            }
        };
        let transaction = connection.transaction()?;
        sums.write(&transaction)?;
        transaction.commit()
    }
}

impl Verifier<'_> {
    /// Sums up the statements of a block's directory.
    pub(super) fn sum_block(
        &mut self,
        day: Day,
        path: &Path,
        packed: &Packed,
    ) -> Result<(), StoreError> {
        let Some((_, connection)) = self.days.get(&day) else {
            return Ok(());
        };
        let read = || -> rusqlite::Result<Rollups> {
            let stored: Vec<u8> = connection
                .prepare_cached("SELECT speakers FROM block WHERE id = ?")?
                .query_row([packed.id()], |row| row.get(0))?;
            let stored = SpeakerIds::read(&stored).unwrap_or_default();
            let mut names = Vec::new();
            for (place, speaker) in packed.speakers.iter().enumerate() {
                let who = stored.get(place).map_or(0, |ids| ids.who);
                names.push(names_of(connection, speaker, who)?);
            }
            let mut rollups = Rollups::default();
            for (key, sums) in &packed.sums {
                let shape = packed.shapes.get(key.shape as usize).copied().flatten();
                let shape = shape_of(connection, shape)?;
                let names = names.get(key.speaker as usize).copied().unwrap_or_default();
                rollups.add(key.minute, names, shape, key.action, sums);
            }
            Ok(rollups)
        };
        read()
            .and_then(|rollups| self.anew.add(day, &rollups))
            .map_err(StoreError::sqlite(path))
    }

    /// Adds a statement that is stored whole.
    pub(super) fn sum_carried(&mut self, row: &StatementRow) -> Result<(), StoreError> {
        let Some((path, connection)) = self.days.get(&row.day) else {
            return Ok(());
        };
        if !row.brief.counts(row.outcome.completion) {
            return Ok(());
        }
        let read = || -> rusqlite::Result<Rollups> {
            let who = connection
                .prepare_cached("SELECT who FROM carried WHERE id = ?")?
                .query_row([row.key()], |row| row.get(0))?;
            let names = names_of(connection, &row.speaker, who)?;
            let shape = shape_of(connection, row.brief.shape)?;
            let mut sums = Sums::default();
            sums.add(&row.brief, &row.outcome);
            let minute = row.brief.wall_us / crate::embedded::MINUTE_US;
            let mut rollups = Rollups::default();
            rollups.add(minute, names, shape, row.brief.action, &sums);
            Ok(rollups)
        };
        read()
            .and_then(|rollups| self.anew.add(row.day, &rollups))
            .map_err(StoreError::sqlite(path))
    }

    /// Compares a day's sums with those made anew; tells the first that differ.
    pub(super) fn check_sums(&mut self, day: Day) -> Result<(), StoreError> {
        let Some((path, connection)) = self.days.get(&day) else {
            return Ok(());
        };
        let differing = match self.anew.days.remove(&day) {
            Some(anew) => differing(&anew, connection),
            None => connection.query_row("SELECT min(minute) FROM rollup", [], |row| row.get(0)),
        };
        if let Some(minute) = differing.map_err(StoreError::sqlite(path))? {
            let from = u64::try_from(minute).unwrap_or(0);
            let from = rfc3339(from.saturating_mul(crate::embedded::MINUTE_US));
            let what = format!("the sums were changed, from the minute {from} on");
            self.report.add(path, None, what);
        }
        Ok(())
    }
}

/// The first minute in which two files have different sums.
fn differing(left: &Connection, right: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut left = left.prepare(ALL)?;
    let mut right = right.prepare(ALL)?;
    let columns = left.column_count();
    let (mut left, mut right) = (left.query([])?, right.query([])?);
    loop {
        let (one, other) = (left.next()?, right.next()?);
        let (one, other) = match (one, other) {
            (None, None) => return Ok(None),
            (Some(one), None) | (None, Some(one)) => return one.get(0).map(Some),
            (Some(one), Some(other)) => (one, other),
        };
        for column in 0..columns {
            if one.get_ref(column)? != other.get_ref(column)? {
                let minutes: [i64; 2] = [one.get(0)?, other.get(0)?];
                return Ok(minutes.into_iter().min());
            }
        }
    }
}

const ALL: &str = "SELECT * FROM rollup
    ORDER BY minute, user, database, application, fingerprint, verb, decision";

/// User, database and application as sums know them; of a session whose beginning is not known, as they are stored.
fn names_of(connection: &Connection, speaker: &Speaker, who: i64) -> rusqlite::Result<[i64; 3]> {
    if speaker.who.started_us.is_none() {
        let stored = connection
            .prepare_cached(
                "SELECT coalesce(user, 0), coalesce(database, 0), coalesce(application, 0)
                 FROM who WHERE id = ?",
            )?
            .query_row([who], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
            .optional()?;
        return Ok(stored.unwrap_or_default());
    }
    let mut ids = [0; 3];
    let names = [
        &speaker.who.user,
        &speaker.who.database,
        &speaker.who.application,
    ];
    for (id, name) in ids.iter_mut().zip(names) {
        if let Some(name) = name {
            let found = connection
                .prepare_cached("SELECT id FROM name WHERE value = ?")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            // A name that is not stored has no sums, and the comparison shows it.
            *id = found.unwrap_or(-1);
        }
    }
    Ok(ids)
}

fn shape_of(
    connection: &Connection,
    key: Option<[u8; 16]>,
) -> rusqlite::Result<Option<([u8; 16], Arc<str>)>> {
    let Some(key) = key else { return Ok(None) };
    connection
        .prepare_cached("SELECT fingerprint, verb FROM shape WHERE key = ?")?
        .query_row([key], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?.into()))
        })
        .optional()
}
