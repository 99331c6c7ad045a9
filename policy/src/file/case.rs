//! Reads `[[test]]`.

use jiff::Timestamp;
use toml::de::DeValue;

use super::RawCase;
use super::fields::EXPECT;
use super::reader::{At, Fields, Reader, Value};
use crate::rule::moment::Transaction;
use crate::rule::subject::{EndUser, Subject};
use crate::rule::version::ServerVersion;
use crate::rule::words::{Word, Words};
use crate::statement::ReadingOptions;
use crate::test_table::Channel;
use crate::vocabulary::{Action, Dialect, EndUserTrust};

impl Reader<'_> {
    pub(super) fn case(&mut self, item: &Value<'_>, table: Fields<'_, '_>) -> Option<RawCase> {
        let before = self.problem_count();
        let mut text = |field: &str| table.get(field).and_then(|value| self.text(field, value));
        let (user, role) = (text("user"), text("role"));
        let (database, application) = (text("database"), text("application"));
        let (listener, client) = (text("listener"), text("client"));
        let end_user = text("end_user");
        let (tls_identity, title) = (text("tls_identity"), text("title"));
        let (sql_mode, charset) = (text("sql_mode"), text("charset"));
        let server_version = text("server_version");
        let trust = self.one::<EndUserTrust>("end_user_trust", table);
        let transaction = Transaction {
            state: self.one("transaction", table),
            access: self.one("transaction_access", table),
            isolation: self.one("isolation", table),
        };
        let parameters = table
            .get("parameters")
            .and_then(|value| self.values("parameters", value));
        let before_sql = self.before(table);
        let channel = self.channel(table)?;
        let sql = match channel {
            Channel::FunctionCall => vec![self.at(item.span(), String::new())],
            Channel::Query | Channel::Replication => {
                let sql = table.get("sql");
                if sql.is_none() {
                    let problem = self.problem(item.span(), "`sql` is missing in `[[test]]`");
                    self.report(problem);
                }
                sql.map(|value| self.texts("sql", value))
                    .unwrap_or_default()
            }
        };
        let dialects = match table.get("dialect") {
            Some(value) => self
                .words::<Dialect>("dialect", value)
                .unwrap_or(Words::EMPTY),
            None => [Dialect::Postgres].into_iter().collect(),
        };
        let at = table
            .get("at")
            .map_or(Some(DEFAULT_TIME), |value| self.time("at", value));
        let expect = self.single("expect", &EXPECT, table)?;
        let action = expect
            .get("action")
            .and_then(|value| self.word::<Action>("action", value));
        let rule = expect
            .get("rule")
            .and_then(|value| self.text("rule", value));

        let value = |text: Option<At<String>>| text.map(|text| text.value);
        let mut subject = Subject::default();
        if let Some(client) = client {
            match client.value.parse() {
                Ok(address) => subject.client = address,
                Err(_) => {
                    let problem = self
                        .problem(
                            client.span.bytes,
                            format!("`{}` is no address", client.value),
                        )
                        .expected("an IPv4 or IPv6 address");
                    self.report(problem);
                }
            }
        }
        subject.user = value(user).unwrap_or_default();
        subject.role = Some(value(role).unwrap_or_else(|| subject.user.clone()));
        subject.database = value(database).unwrap_or_default();
        subject.application = value(application).unwrap_or_default();
        subject.listener = value(listener).unwrap_or_default();
        subject.tls_identity = value(tls_identity);
        let trust = trust.map_or(String::new(), |trust| trust.to_string());
        subject.end_user = value(end_user).map(|name| EndUser { name, trust });
        subject.server_version = match &server_version {
            None => Some(ServerVersion::NEWEST),
            Some(text) => ServerVersion::of_server(&text.value),
        };
        if subject.server_version.is_none() {
            let problem = self
                .problem(item.span(), "`server_version` is no server version")
                .expected("numbers such as 15.4 or 10.11.6");
            self.report(problem);
        }
        let options = ReadingOptions {
            sql_mode: value(sql_mode),
            charset: value(charset),
            server_version: value(server_version),
        };
        let mut subjects = Vec::new();
        for dialect in dialects.iter() {
            match options.lex_state(dialect) {
                Ok(lex) => subjects.push((
                    Subject {
                        dialect,
                        ..subject.clone()
                    },
                    lex,
                )),
                Err(error) => {
                    let problem = self.problem(item.span(), error);
                    self.report(problem);
                }
            }
        }
        let case = RawCase {
            span: self.at(item.span(), ()).span,
            title: value(title),
            sql,
            subjects,
            at: at?,
            channel,
            transaction,
            parameters,
            before: before_sql,
            action: action?.value,
            rule,
        };
        (self.problem_count() == before).then_some(case)
    }

    fn channel(&mut self, table: Fields<'_, '_>) -> Option<Channel> {
        let mut flag = |field: &str| match table.get(field) {
            Some(value) => self.flag(field, value),
            None => Some(false),
        };
        match (
            flag("replication")?,
            flag("function_call")?,
            table.get("sql"),
        ) {
            (false, false, _) => Some(Channel::Query),
            (true, false, _) => Some(Channel::Replication),
            (false, true, None) => Some(Channel::FunctionCall),
            (_, true, other) => {
                let span = other
                    .or_else(|| table.get("function_call"))
                    .map(|value| value.span());
                let problem = self
                    .problem(span.unwrap_or_default(), "a function call is nothing else")
                    .expected("`function_call = true` without `sql` and `replication`");
                self.report(problem);
                None
            }
        }
    }

    /// A field of one word.
    fn one<T: Word>(&mut self, field: &str, table: Fields<'_, '_>) -> Option<T> {
        let word = self.word::<T>(field, table.get(field)?)?;
        Some(word.value)
    }

    /// The statements that come before, as often as they do.
    fn before(&mut self, table: Fields<'_, '_>) -> Vec<String> {
        let times = table
            .get("before_times")
            .and_then(|value| self.number("before_times", value));
        let once = table
            .get("before")
            .map(|value| self.texts("before", value))
            .unwrap_or_default();
        let mut all = Vec::new();
        for _ in 0..times.unwrap_or(1) {
            all.extend(once.iter().map(|text| text.value.clone()));
        }
        all.truncate(MAX_BEFORE);
        all
    }

    pub(super) fn time(&mut self, field: &str, value: &Value<'_>) -> Option<Timestamp> {
        let text = match value.get_ref() {
            DeValue::Datetime(time) => time.to_string(),
            _ => self.text(field, value)?.value,
        };
        let time = text.parse().ok();
        if time.is_none() {
            let problem = self
                .problem(value.span(), format!("`{text}` is no point in time"))
                .expected("date, time and offset as in 2026-01-05T12:00:00Z");
            self.report(problem);
        }
        time
    }
}

/// The most statements that are sent before another one.
const MAX_BEFORE: usize = 20_000;

/// A Monday noon: 2026-01-05T12:00:00Z.
const DEFAULT_TIME: Timestamp = Timestamp::constant(1_767_614_400, 0);
