//! How a MySQL or MariaDB session reads its texts, as the server has said it: in answers to questions of ours and in its
//! reports of changes. Nothing is concluded from what a text sets; where no report can be trusted, the state is unknown until
//! the server is asked.

use sqlward_policy::{
    statement::{ClientCharset, Flavour, Known, MysqlLex, SessionEffect, SqlMode},
    vocabulary::Dialect,
};

use crate::session::{effects, names::Referred};

/// Has the server report the character set, besides what the client has chosen, and the database; servers do by default. What
/// changes the reading is announced by its text or is a routine, behind which the server is asked; what functions and triggers
/// set is undone when they end (`tests/e2e/mysql/state.rs`). So a report only ever shows what nobody has thought of. The comment tells our statements apart in the server's own log. MySQL refuses a list that has
/// a name twice (error 3026), MariaDB one that has more than `*` (1193).
pub(super) const TRACK: &[u8] = b"SET /* sqlward */ session_track_system_variables = \
    if(@@session_track_system_variables = '*', '*', concat_ws(',', nullif(@@session_track_system_variables, ''), \
    if(find_in_set('character_set_client', replace(@@session_track_system_variables, ' ', '')), null, \
    'character_set_client'))), session_track_schema = ON";
/// Asks for everything that the reading depends on, and whether its changes are reported.
pub(super) const STATE: &[u8] = b"SELECT /* sqlward */ @@sql_mode, @@character_set_client, \
    @@lower_case_table_names, DATABASE(), CURRENT_ROLE(), @@session_track_system_variables, @@session_track_schema";

/// How texts are read now, and whether the server tells when that changes.
#[derive(Debug)]
pub(super) struct Reading {
    lex: MysqlLex,
    /// The server reports changes.
    reports: bool,
    /// What it has said may not hold any more.
    doubted: bool,
}

/// What a session's server has answered about its state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The current database; empty for none.
    pub(super) database: String,
    /// The role whose rights hold besides the user's.
    pub(super) role: Role,
}

/// The active roles.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// None.
    None,
    /// This one.
    One(String),
    /// Several: no single one decides.
    Several,
}

impl Reading {
    /// The reading before a server has been heard of.
    pub(super) fn new() -> Self {
        Self {
            lex: MysqlLex {
                sql_mode: None,
                charset: None,
                ..MysqlLex::new(Flavour::Mysql)
            },
            reports: false,
            doubted: true,
        }
    }

    /// The server's family and version, from its greeting. `None`: it is neither MySQL nor MariaDB.
    pub(super) fn greeted(&mut self, version: &[u8]) -> Option<Dialect> {
        let (flavour, version) = MysqlLex::of_server(version)?;
        self.lex.flavour = flavour;
        self.lex.version = version;
        Some(match flavour {
            Flavour::Mysql => Dialect::Mysql,
            Flavour::Mariadb => Dialect::Mariadb,
        })
    }

    /// How a text is read, which may hold several statements or not.
    pub(super) fn lex(&self, multi_statements: bool) -> MysqlLex {
        MysqlLex {
            multi_statements,
            ..self.lex
        }
    }

    /// Nothing is known any more: the session begins anew.
    pub(super) fn forget(&mut self) {
        self.lex.sql_mode = None;
        self.lex.charset = None;
        self.reports = false;
        self.doubted = true;
    }

    /// The answer to [`TRACK`].
    pub(super) fn tracked(&mut self, done: bool) {
        self.reports = done;
    }

    /// The answer to [`STATE`]. `None`: it is none.
    pub(super) fn answered(&mut self, row: &[Option<Box<[u8]>>]) -> Option<State> {
        let [mode, charset, lower_case, database, role, tracked, schema] = row else {
            return None;
        };
        self.lex.folds_names = lower_case.as_deref()? != b"0";
        self.lex.sql_mode = SqlMode::parse(&text(mode.as_deref()?));
        self.lex.charset = Some(ClientCharset::from_name(&text(charset.as_deref()?)));
        self.reports = schema.as_deref() == Some(b"1")
            && tracked
                .as_deref()
                .is_some_and(|names| tracks_charset(&text(names)));
        self.doubted = false;
        Some(State {
            database: database.as_deref().map(text).unwrap_or_default(),
            role: role.as_deref().map_or(Role::None, self::role),
        })
    }

    /// The server reports a variable. While there is doubt, a report does not end it: the text that set the variable may
    /// have set it again in a way that is not reported. Only an answer to a question of ours does.
    pub(super) fn reported(&mut self, name: &[u8], value: &[u8]) {
        let settled = !self.doubted;
        match name {
            b"sql_mode" => {
                self.lex.sql_mode = SqlMode::parse(&text(value)).filter(|_| settled);
            }
            b"character_set_client" => {
                self.lex.charset = settled.then(|| ClientCharset::from_name(&text(value)));
            }
            // Reported for the client's sake; nothing here depends on it.
            _ => return,
        }
        self.doubted = self.lex.sql_mode.is_none() || self.lex.charset.is_none();
    }

    /// Before a statement leaves: what it sets is not known until the server is asked: a report does not do, since
    /// a variable that is set as `@@name`, without a scope, is not reported.
    pub(super) fn announce(&mut self, known: &Known, referred: &Referred) {
        for effect in effects(known).chain(referred.effects()) {
            match change(effect) {
                Change::None => continue,
                Change::Mode => self.lex.sql_mode = None,
                Change::Charset => self.lex.charset = None,
                Change::Anything => {
                    self.lex.sql_mode = None;
                    self.lex.charset = None;
                    self.reports = false;
                }
            }
            self.doubted = true;
        }
    }

    /// Whether the server has to be asked what holds now.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Whether the server has to be told again what to report.
    pub(super) fn is_unreported(&self) -> bool {
        !self.reports
    }
}

/// What a statement may do to the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Nothing.
    None,
    /// It sets `sql_mode`.
    Mode,
    /// It sets the character set.
    Charset,
    /// It may set anything, what is reported included.
    Anything,
}

fn change(effect: &SessionEffect) -> Change {
    match effect {
        SessionEffect::Set { name, .. } | SessionEffect::Reset(Some(name)) => match &**name {
            "sql_mode" => Change::Mode,
            "character_set_client" | "names" | "character_set" => Change::Charset,
            name if name.starts_with("session_track") => Change::Anything,
            _ => Change::None,
        },
        SessionEffect::Reset(None)
        | SessionEffect::Discard
        | SessionEffect::Execute(_)
        | SessionEffect::MayChangeSettings => Change::Anything,
        SessionEffect::Prepare { .. }
        | SessionEffect::Declare { .. }
        | SessionEffect::Cursor(_)
        | SessionEffect::ReadFile(_)
        | SessionEffect::Use(_)
        | SessionEffect::Deallocate(_) => Change::None,
    }
}

/// Whether a `session_track_system_variables` names the character set.
fn tracks_charset(names: &str) -> bool {
    names
        .split(',')
        .map(str::trim)
        .any(|name| name == "*" || name.eq_ignore_ascii_case("character_set_client"))
}

/// The active roles as CURRENT_ROLE() has them: `` `one`@`%`,`two`@`%` `` or NONE in MySQL, a bare name in MariaDB.
fn role(value: &[u8]) -> Role {
    let value = text(value);
    if value.is_empty() || value.eq_ignore_ascii_case("NONE") {
        return Role::None;
    }
    let Some(rest) = value.strip_prefix('`') else {
        return Role::One(value);
    };
    match rest.split_once("`@`") {
        Some((name, host)) if !host.contains("`,`") && !name.contains('`') => {
            Role::One(name.to_owned())
        }
        Some(_) | None => Role::Several,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sqlward_policy::statement::{LexState, Limits, analyse};

    use super::*;

    fn known(text: &str) -> Known {
        let lex = LexState::Mysql(MysqlLex::new(Flavour::Mariadb));
        let analysis = analyse(text.as_bytes(), &lex, &Limits::default());
        Known {
            analysis: Arc::new(analysis),
            slot: Default::default(),
        }
    }

    fn row(values: &[&str]) -> Vec<Option<Box<[u8]>>> {
        let value = |value: &&str| (*value != "NULL").then(|| value.as_bytes().into());
        values.iter().map(value).collect()
    }

    /// What a server answers that reports as servers do.
    fn answer(state: &[&str]) -> Vec<Option<Box<[u8]>>> {
        row(&[state, &["autocommit,character_set_client", "1"]].concat())
    }

    #[test]
    fn reports_are_asked_for_where_there_are_none() {
        for (names, schema, reports) in [
            ("*", "1", true),
            ("autocommit, Character_Set_Client", "1", true),
            ("*", "0", false),
            ("", "1", false),
            ("NULL", "1", false),
            ("character_set_client_x", "1", false),
        ] {
            let mut reading = Reading::new();
            let answer = row(&["", "utf8mb4", "1", "shop", "NULL", names, schema]);
            assert!(reading.answered(&answer).is_some());
            assert_eq!(reading.is_unreported(), !reports, "{names} {schema}");
        }
    }

    #[test]
    fn what_the_server_says_holds_until_it_may_not() {
        let mut reading = Reading::new();
        assert_eq!(reading.greeted(b"11.8.2-MariaDB"), Some(Dialect::Mariadb));
        assert!(reading.is_doubted() && reading.lex(true).sql_mode.is_none());
        let state = reading.answered(&answer(&["ANSI_QUOTES", "gbk", "1", "shop", "NULL"]));
        let expected = State {
            database: "shop".to_owned(),
            role: Role::None,
        };
        assert_eq!(state, Some(expected));
        let lex = reading.lex(false);
        assert!(lex.folds_names && !lex.multi_statements && !reading.is_doubted());
        assert_eq!(lex.sql_mode, Some(SqlMode::ANSI_QUOTES));
        assert_eq!(lex.charset, Some(ClientCharset::from_name("gbk")));
        reading.reported(b"sql_mode", b"");
        assert_eq!(reading.lex(true).sql_mode, Some(SqlMode::EMPTY));
        reading.forget();
        assert!(reading.is_doubted() && reading.lex(true).charset.is_none());
    }

    #[test]
    fn a_report_does_not_end_a_doubt() {
        let state = answer(&["", "utf8mb4", "1", "shop", "NULL"]);
        for (text, name, value) in [
            (
                "SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SET @@sql_mode = ''",
                "sql_mode",
                "NO_BACKSLASH_ESCAPES",
            ),
            (
                "SET NAMES gbk; SET @@character_set_client = latin1",
                "character_set_client",
                "gbk",
            ),
        ] {
            let mut reading = Reading::new();
            reading.answered(&state);
            assert!(!reading.is_doubted());
            reading.announce(&known(text), &Referred::default());
            for (name, value) in [("time_zone", "UTC"), (name, value)] {
                reading.reported(name.as_bytes(), value.as_bytes());
                let lex = reading.lex(true);
                assert!(reading.is_doubted(), "{text}");
                assert!(lex.sql_mode.is_none() || lex.charset.is_none(), "{text}");
            }
            reading.answered(&state);
            assert!(!reading.is_doubted());
        }
        // What is reported meanwhile of the other variable is no more certain.
        let mut reading = Reading::new();
        reading.answered(&state);
        reading.announce(&known("SET sql_mode = ''"), &Referred::default());
        reading.reported(b"character_set_client", b"gbk");
        assert_eq!(reading.lex(true).charset, None);
    }

    #[test]
    fn roles() {
        assert_eq!(role(b"NONE"), Role::None);
        assert_eq!(role(b"auditor"), Role::One("auditor".to_owned()));
        assert_eq!(role(b"`auditor`@`%`"), Role::One("auditor".to_owned()));
        assert_eq!(role(b"`a`@`%`,`b`@`%`"), Role::Several);
    }
}
