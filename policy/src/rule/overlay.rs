//! Periods in which an overlay is in force.

use std::fmt;

use jiff::Timestamp;

/// From a point in time to before another one; without an end, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The moment after its last one.
    pub until: Timestamp,
}

impl Period {
    /// All time.
    pub const ALWAYS: Self = Self {
        from: Timestamp::MIN,
        until: Timestamp::MAX,
    };

    /// Whether the two share a moment.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// Some periods, or all time outside of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Periods {
    /// The periods.
    pub list: Vec<Period>,
    /// Whether they are meant, or the time outside of them.
    pub side: Side,
}

/// Inside of periods or outside of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In one of the periods.
    Inside,
    /// In none of them.
    Outside,
}

impl Periods {
    /// Whether `now` is meant.
    #[must_use]
    pub fn cover(&self, now: Timestamp) -> bool {
        let inside = self
            .list
            .iter()
            .any(|period| period.from <= now && now < period.until);
        inside == (self.side == Side::Inside)
    }
}

impl fmt::Display for Periods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.side {
            Side::Inside => "in force",
            Side::Outside => "in force, but not",
        })?;
        for (number, period) in self.list.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            if period.from != Timestamp::MIN {
                write!(f, " from {}", period.from)?;
            }
            if period.until != Timestamp::MAX {
                write!(f, " until {}", period.until)?;
            }
            if *period == Period::ALWAYS {
                f.write_str(" always")?;
            }
        }
        Ok(())
    }
}

/// An overlay: changes of rules and further rules, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Its name.
    pub id: Box<str>,
    /// Who answers for it.
    pub owner: Box<str>,
    /// Why it is there.
    pub reason: Box<str>,
    /// When it is in force.
    pub period: Period,
}
