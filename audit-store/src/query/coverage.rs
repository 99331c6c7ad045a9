//! How completely statements are recorded: in full, or with what left out, and why.

use serde::Serialize;

use super::row::{Row, statement_tables};
use super::{Archive, STATEMENTS};
use crate::clickhouse::{ClickHouse, ClickHouseError};
use crate::embedded::StoreError;
use crate::query::AdminRow;
use crate::record::AdminAction;

/// Why a statement is not recorded in full; of several reasons the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// It is recorded in full.
    Full,
    /// Its end is not known.
    LostOutcome,
    /// Its rule has nothing but a digest recorded.
    Digest,
    /// Its rule leaves out the values of its parameters.
    NoParameters,
    /// Secrets, or what `[[redact]]` names, were replaced.
    Redaction,
    /// Its text, or a parameter, is longer than what a record keeps.
    Truncation,
    /// It passed without a record, for the journal could not take one: only the count is known.
    Gap,
}

impl Extent {
    /// Every one, in the order of answers.
    pub const ALL: [Extent; 7] = [
        Extent::Full,
        Extent::LostOutcome,
        Extent::Digest,
        Extent::NoParameters,
        Extent::Redaction,
        Extent::Truncation,
        Extent::Gap,
    ];

    /// Its spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Extent::Full => "full",
            Extent::LostOutcome => "lost-outcome",
            Extent::Digest => "digest",
            Extent::NoParameters => "no-parameters",
            Extent::Redaction => "redaction",
            Extent::Truncation => "truncation",
            Extent::Gap => "gap",
        }
    }
}

/// How many statements are recorded to which extent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(Vec<(Extent, u64)>);

impl Coverage {
    /// How many statements there were, those without a record included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// How many are recorded to this extent.
    #[must_use]
    pub fn count(&self, extent: Extent) -> u64 {
        let of = self.0.iter().filter(|(known, _)| *known == extent);
        of.map(|(_, count)| count).sum()
    }

    /// The part of all that is recorded to this extent, in percent; all of nothing is in full.
    #[must_use]
    pub fn percent(&self, extent: Extent) -> f64 {
        match (self.total(), extent) {
            (0, Extent::Full) => 100.0,
            (0, _) => 0.0,
            (total, _) => 100.0 * self.count(extent) as f64 / total as f64,
        }
    }

    fn add(&mut self, word: &str, count: u64) {
        let extent = Extent::ALL
            .into_iter()
            .find(|extent| extent.as_str() == word);
        self.0.extend(extent.map(|extent| (extent, count)));
    }

    /// Statements that passed without a record are told by gaps.
    fn add_gaps(&mut self, administration: &[AdminRow]) {
        let gaps = administration
            .iter()
            .filter(|row| row.action == AdminAction::Gap.as_str() && row.detail == UNRECORDED);
        let count = gaps.map(|row| u64::try_from(row.count).unwrap_or(0)).sum();
        if count > 0 {
            self.add(Extent::Gap.as_str(), count);
        }
    }
}

/// What gaps of statements and other records that passed unrecorded say.
pub const UNRECORDED: &str = "records that the journal could not take";

/// The extent of a statement, in the SQL of both stores, from the columns of [`Row`].
pub(crate) const EXTENT: &str = "CASE WHEN completion = 'lost' THEN 'lost-outcome' WHEN detail <> 'full' THEN detail \
     WHEN redacted > 0 OR coalesce(parameters, '') LIKE '%\"redacted\":true%' THEN 'redaction' \
     WHEN text_hash IS NOT NULL OR coalesce(parameters, '') LIKE '%\"full_length\":%' THEN 'truncation' \
     ELSE 'full' END";

impl Archive {
    /// How completely the statements of a span of time are recorded.
    ///
    /// # Errors
    /// Where a day file can't be read.
    pub fn coverage(&self, from: Option<u64>, to: Option<u64>) -> Result<Coverage, StoreError> {
        let bound =
            |us: Option<u64>, none: i64| us.map_or(none, |us| us.min(i64::MAX as u64) as i64);
        let (low, high) = (bound(from, i64::MIN), bound(to, i64::MAX));
        let sql = format!(
            "SELECT {EXTENT} AS extent, count(*) FROM (SELECT {} FROM {} WHERE s.start_us >= ? AND s.start_us < ?)
             GROUP BY extent",
            Row::select(),
            statement_tables("main", STATEMENTS),
        );
        let mut coverage = Coverage::default();
        for day in self.days(from, to)? {
            let Some((path, connection)) = self.day(day)? else {
                continue;
            };
            let mut read = || -> rusqlite::Result<()> {
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query([low, high])?;
                while let Some(row) = rows.next()? {
                    let count = row.get::<_, i64>(1)?;
                    coverage.add(&row.get::<_, String>(0)?, u64::try_from(count).unwrap_or(0));
                }
                Ok(())
            };
            read().map_err(StoreError::sqlite(&path))?;
        }
        coverage.add_gaps(&self.administration(from, to)?);
        Ok(coverage)
    }
}

impl ClickHouse {
    /// How completely the statements of a span of time are recorded.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub fn coverage(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Coverage, ClickHouseError> {
        let mut coverage = Coverage::default();
        for (extent, count) in self.extents(from, to)? {
            coverage.add(&extent, count);
        }
        coverage.add_gaps(&self.administration(from, to)?);
        Ok(coverage)
    }
}
