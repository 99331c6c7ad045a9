//! Versions of servers, and ranges of them.

use std::fmt;

/// A server's version: up to three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion([u32; 3]);

impl ServerVersion {
    /// Earlier than any.
    pub const OLDEST: Self = Self([0; 3]);
    /// Later than any.
    pub const NEWEST: Self = Self([u32::MAX; 3]);

    /// Reads the version that a server tells: `15.4 (Debian 15.4-1)`, `8.0.36-0ubuntu0.22.04.1`, `5.5.5-10.11.6-MariaDB`.
    /// The number 5.5.5 that MariaDB puts first is for clients of old.
    #[must_use]
    pub fn of_server(text: &str) -> Option<Self> {
        let text = match text.strip_prefix("5.5.5-") {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => rest,
            _ => text,
        };
        let end = text
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(text.len());
        Self::parse(text.get(..end)?)
    }

    /// `15`, `15.4`, `10.11.6`
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; 3];
        let mut parts = text.trim_end_matches('.').split('.');
        for number in &mut numbers {
            match parts.next() {
                Some(part) => *number = part.parse().ok()?,
                None => return Some(Self(numbers)),
            }
        }
        parts.next().is_none().then_some(Self(numbers))
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        if *self == Self::NEWEST {
            return f.write_str("newest");
        }
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Versions from one on and before another: `>= 14, < 14.12`, `< 13.7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange {
    from: Option<ServerVersion>,
    before: Option<ServerVersion>,
    text: Box<str>,
}

impl VersionRange {
    /// Reads a range.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "`>= 14, < 14.12`, `< 13.7` or `>= 15`".to_owned();
        let (mut from, mut before) = (None, None);
        for bound in text.split(',').map(str::trim) {
            let (place, number) = match (bound.strip_prefix(">="), bound.strip_prefix('<')) {
                (Some(number), _) => (&mut from, number),
                (None, Some(number)) => (&mut before, number),
                (None, None) => return Err(expected()),
            };
            let version = ServerVersion::parse(number.trim()).ok_or_else(expected)?;
            if place.replace(version).is_some() {
                return Err(expected());
            }
        }
        if matches!((from, before), (Some(from), Some(before)) if from >= before) {
            return Err(expected());
        }
        Ok(Self {
            from,
            before,
            text: text.into(),
        })
    }

    /// Where the range begins and where it has ended.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = ServerVersion> {
        [self.from, self.before].into_iter().flatten()
    }

    /// Whether a version is in the range.
    #[must_use]
    pub fn contains(&self, version: ServerVersion) -> bool {
        self.from.is_none_or(|from| version >= from)
            && self.before.is_none_or(|before| version < before)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_servers_tell_them() {
        let read = |text| ServerVersion::of_server(text).map(|version| version.to_string());
        assert_eq!(
            read("15.4 (Debian 15.4-1.pgdg120+1)").as_deref(),
            Some("15.4.0")
        );
        assert_eq!(read("9.6.24").as_deref(), Some("9.6.24"));
        assert_eq!(read("17beta1").as_deref(), Some("17.0.0"));
        assert_eq!(read("8.0.36-0ubuntu0.22.04.1").as_deref(), Some("8.0.36"));
        assert_eq!(
            read("5.5.5-10.11.6-MariaDB-log").as_deref(),
            Some("10.11.6")
        );
        assert_eq!(read("5.5.5-m3").as_deref(), Some("5.5.5"));
        assert_eq!(read("none"), None);
    }

    #[test]
    fn ranges_end_before_their_end() {
        let range = VersionRange::parse(">= 14, < 14.12").unwrap();
        let holds = |text| range.contains(ServerVersion::of_server(text).unwrap());
        assert!(holds("14.0") && holds("14.11"));
        assert!(!holds("14.12") && !holds("13.22") && !holds("15.1"));
        assert!(!range.contains(ServerVersion::NEWEST));
        for wrong in ["14", "> 14", ">= 14, >= 15", ">= 15, < 14", "< x", ""] {
            assert!(VersionRange::parse(wrong).is_err(), "{wrong}");
        }
    }
}
