//! Whether whatever one alternative matches another one matches, too: decided condition by condition, from the sets of
//! values that they name. "No" may mean "not certain".

use ipnet::IpNet;

use crate::rule::clause::{Clause, Literal};
use crate::rule::glob::Glob;
use crate::rule::moment::MomentTest;
use crate::rule::object::{ColumnPattern, NamePattern, ObjectTest};
use crate::rule::statement::StatementTest;
use crate::rule::subject::SubjectTest;
use crate::rule::words::{Word, Words};
use crate::rule::{Sense, Test};

/// Whether `wide` holds wherever `narrow` does: each of its conditions follows from one of the other's.
pub(super) fn covers(wide: &Clause, narrow: &Clause) -> bool {
    wide.literals().all(|wanted| {
        narrow
            .literals()
            .any(|given| given.negated == wanted.negated && follows(wanted, given))
    })
}

/// Whether `wanted` holds wherever `given` does. Conditions grow with the sets that they name, negated ones shrink.
fn follows(wanted: &Literal, given: &Literal) -> bool {
    let (large, small) = if wanted.negated {
        (&*given.test, &*wanted.test)
    } else {
        (&*wanted.test, &*given.test)
    };
    match (large, small) {
        (Test::Subject(large), Test::Subject(small)) => subject(large, small),
        (Test::Statement(large), Test::Statement(small)) => {
            statement(large, small, (wanted.sense, given.sense))
        }
        (Test::Moment(MomentTest::Time(large)), Test::Moment(MomentTest::Time(small))) => {
            small.iter().all(|one| large.contains(one))
        }
        (Test::Moment(large), Test::Moment(small)) => large == small,
        (Test::Subject(_) | Test::Statement(_) | Test::Moment(_), _) => false,
    }
}

fn subject(large: &SubjectTest, small: &SubjectTest) -> bool {
    use SubjectTest as S;
    match (large, small) {
        (S::User(large), S::User(small))
        | (S::Role(large), S::Role(small))
        | (S::Database(large), S::Database(small))
        | (S::Application(large), S::Application(small))
        | (S::Listener(large), S::Listener(small))
        | (S::EndUser(large), S::EndUser(small))
        | (S::TlsIdentity(large), S::TlsIdentity(small)) => globs(large, small),
        (S::Client(large), S::Client(small)) => {
            let inside = |one: &IpNet| large.iter().any(|network| network.contains(one));
            small.iter().all(inside)
        }
        (S::Dialect(large), S::Dialect(small)) => words(*large, *small),
        (S::EndUserTrust(large), S::EndUserTrust(small)) => words(*large, *small),
        (_, _) => false,
    }
}

fn statement(large: &StatementTest, small: &StatementTest, senses: (Sense, Sense)) -> bool {
    use StatementTest as S;
    match (large, small) {
        (S::Verb(large), S::Verb(small)) => words(*large, *small),
        (S::Class(large), S::Class(small)) => words(*large, *small),
        (S::Where(large), S::Where(small)) => words(*large, *small),
        (S::Limit(large), S::Limit(small)) => words(*large, *small),
        (S::Egress(large), S::Egress(small)) => words(*large, *small),
        (S::Object(large), S::Object(small)) => objects(large, small, senses),
        (S::Column(large), S::Column(small)) => {
            let each = |one: &ColumnPattern| large.columns.iter().any(|other| column(other, one));
            let all = large.columns.is_empty()
                || !small.columns.is_empty() && small.columns.iter().all(each);
            all && some_words(large.usage, small.usage)
        }
        (S::Function(large), S::Function(small)) => names(large, small),
        (S::Fingerprint(large), S::Fingerprint(small)) => {
            small.iter().all(|print| large.contains(print))
        }
        (S::MultiStatement(large), S::MultiStatement(small))
        | (S::Dynamic(large), S::Dynamic(small))
        | (S::Replication(large), S::Replication(small)) => large == small,
        (
            S::Unreadable { reasons, wanted },
            S::Unreadable {
                reasons: fewer,
                wanted: same,
            },
        ) => {
            wanted == same
                && if *wanted {
                    words(*reasons, *fewer)
                } else {
                    words(*fewer, *reasons)
                }
        }
        (S::Risk(large), S::Risk(small)) => large == small,
        (S::Setting(large), S::Setting(small)) => small.iter().all(|one| large.contains(one)),
        (_, _) => false,
    }
}

/// Which objects count where all must fit depends on the kinds and accesses named: only where one is enough, or these are
/// the same, can sets be compared.
fn objects(large: &ObjectTest, small: &ObjectTest, senses: (Sense, Sense)) -> bool {
    let alike = large.access == small.access && large.kind == small.kind;
    (alike || senses == (Sense::Any, Sense::Any))
        && (large.names.is_empty() || !small.names.is_empty() && names(&large.names, &small.names))
        && some_words(large.access, small.access)
        && some_words(large.kind, small.kind)
}

fn some_words<T: Word>(large: Option<Words<T>>, small: Option<Words<T>>) -> bool {
    match (large, small) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(large), Some(small)) => words(large, small),
    }
}

fn words<T: Word>(large: Words<T>, small: Words<T>) -> bool {
    small.difference(large).is_empty()
}

fn names(large: &[NamePattern], small: &[NamePattern]) -> bool {
    small
        .iter()
        .all(|one| large.iter().any(|other| name(other, one)))
}

fn name(large: &NamePattern, small: &NamePattern) -> bool {
    let schema = match (&large.schema, &small.schema) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(large), Some(small)) => glob(large, small),
    };
    schema && glob(&large.name, &small.name)
}

fn column(large: &ColumnPattern, small: &ColumnPattern) -> bool {
    let table = match (&large.table, &small.table) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(large), Some(small)) => name(large, small),
    };
    table && glob(&large.column, &small.column)
}

fn globs(large: &[Glob], small: &[Glob]) -> bool {
    small
        .iter()
        .all(|one| large.iter().any(|other| glob(other, one)))
}

/// Whether whatever fits `small` fits `large`.
fn glob(large: &Glob, small: &Glob) -> bool {
    let plain = |text: &str| !text.contains(['*', '?', '\\']);
    let prefix = large
        .as_str()
        .strip_suffix('*')
        .filter(|prefix| plain(prefix));
    large.is_any()
        || large == small
        || small.literal().is_some_and(|text| large.matches(text))
        || prefix.is_some_and(|prefix| small.as_str().starts_with(prefix))
}
