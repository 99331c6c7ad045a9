//! One block: whom it keeps out, until when, and who put it there.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlward_policy::Subject;

/// Somebody who may neither connect nor run statements for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Its number in the list; numbers are not given twice.
    pub number: u64,
    /// Whom it keeps out.
    pub whom: Whom,
    /// Since when.
    pub since: Timestamp,
    /// Until when; without it, until somebody removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Who put it there: a user of the operating system.
    pub by: String,
    /// Whether the audit record has it already.
    #[serde(default)]
    pub recorded: bool,
    /// Who has removed it, until the audit record has that, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<String>,
}

/// A description of sessions; what is given must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whom {
    /// The database user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The client's address or network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpNet>,
    /// The end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    /// The application's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

impl Whom {
    /// Whether it describes anybody: one that says nothing would be everybody.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a session of this subject, who acts for `end_user`, is one of them.
    #[must_use]
    pub fn covers(&self, subject: &Subject, end_user: Option<&str>) -> bool {
        let same = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| has == Some(wanted))
        };
        !self.is_nobody()
            && same(&self.user, Some(&subject.user))
            && same(&self.application, Some(&subject.application))
            && same(&self.end_user, end_user)
            // An IPv4 address that came through an IPv6 socket is one.
            && self
                .client
                .is_none_or(|net| net.contains(&subject.client.to_canonical()))
    }
}

impl Block {
    /// Whether it keeps anybody out at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.removed_by.is_none() && self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("user", self.user.clone()),
            ("client", self.client.map(|net| net.to_string())),
            ("end user", self.end_user.clone()),
            ("application", self.application.clone()),
        ];
        let mut first = true;
        for (name, value) in parts {
            let Some(value) = value else { continue };
            if !std::mem::take(&mut first) {
                f.write_str(", ")?;
            }
            write!(f, "{name} {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}: {}", self.number, self.whom)?;
        match self.until {
            Some(until) => write!(f, ", until {until}")?,
            None => f.write_str(", until it is removed")?,
        }
        write!(f, ", by {}: {}", self.by, self.reason)
    }
}
