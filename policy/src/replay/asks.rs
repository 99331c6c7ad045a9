//! What a policy asks that the record of a statement may not hold.

use crate::policy::Policy;
use crate::rule::Test;
use crate::rule::clause::Literal;
use crate::rule::moment::MomentTest;
use crate::rule::statement::StatementTest;
use crate::rule::subject::SubjectTest;

/// What a policy asks beyond the recorded facts and subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// The end user.
    pub end_user: bool,
    /// The settings that a statement changes, or what detectors see: the record has them in the text alone.
    pub settings: bool,
    /// The time.
    pub time: bool,
}

impl Asks {
    /// What `policy` asks.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let mut asks = Self::default();
        for literal in policy.clauses.iter().flat_map(|clause| clause.literals()) {
            asks.note(literal);
        }
        asks
    }

    fn note(&mut self, literal: &Literal) {
        match &*literal.test {
            Test::Moment(test) => match test {
                MomentTest::Time(_) | MomentTest::Period(_) => self.time = true,
                // What the record doesn't have shows when it is asked for.
                MomentTest::Transaction(_)
                | MomentTest::TransactionAccess(_)
                | MomentTest::Isolation(_)
                | MomentTest::Parameter(_)
                | MomentTest::Literal(_)
                | MomentTest::History { .. } => {}
            },
            Test::Subject(test) => match test {
                SubjectTest::EndUser(_) | SubjectTest::EndUserTrust(_) => self.end_user = true,
                SubjectTest::User(_)
                | SubjectTest::Role(_)
                | SubjectTest::Database(_)
                | SubjectTest::Application(_)
                | SubjectTest::Listener(_)
                | SubjectTest::TlsIdentity(_)
                | SubjectTest::Client(_)
                // Not recorded: it stays unknown, and denials hold.
                | SubjectTest::ServerVersion(_)
                | SubjectTest::Dialect(_) => {}
            },
            Test::Statement(test) => match test {
                StatementTest::Setting(_)
                | StatementTest::Detect(_)
                | StatementTest::DetectScore(_) => self.settings = true,
                StatementTest::Verb(_)
                | StatementTest::Class(_)
                | StatementTest::Object(_)
                | StatementTest::Column(_)
                | StatementTest::Function(_)
                | StatementTest::Where(_)
                | StatementTest::Limit(_)
                | StatementTest::Egress(_)
                | StatementTest::MultiStatement(_)
                | StatementTest::Dynamic(_)
                | StatementTest::Fingerprint(_)
                | StatementTest::Unreadable { .. }
                | StatementTest::Risk(_)
                | StatementTest::Replication(_) => {}
            },
        }
    }
}
