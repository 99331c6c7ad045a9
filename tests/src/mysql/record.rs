//! The server's own record: the general log (MySQL and MariaDB, in a file or a table) and MariaDB's
//! server_audit, in the form of [`crate::oracle`].
//!
//! The general log has one entry for each command, several statements in one text included, without
//! the white space and semicolon at its ends, and no outcome; a failed COM_STMT_PREPARE has no entry,
//! an execution shows its parameters within the text. server_audit has one entry for each statement,
//! with database and error number.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::server::Server;
use crate::oracle::{Entry, Kind, Session};

/// Reads a general log file; the sessions of TCP clients in the order in which they began.
///
/// # Errors
/// When the file can't be read.
pub fn general_log(file: &Path) -> Result<Vec<Session>> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let mut sessions = Sessions::default();
    let mut open: Option<(u32, String, String)> = None;
    for line in text.split_inclusive('\n') {
        if let Some((id, command, argument)) = head(line) {
            if let Some((id, command, argument)) = open.take() {
                sessions.take(id, &command, argument.trim_end_matches('\n'));
            }
            open = Some((id, command.to_owned(), argument.to_owned()));
        } else if let Some((_, _, argument)) = &mut open {
            argument.push_str(line);
        }
    }
    if let Some((id, command, argument)) = open {
        sessions.take(id, &command, argument.trim_end_matches('\n'));
    }
    Ok(sessions.list)
}

/// Reads the general log of a server that keeps it in a table.
///
/// # Errors
/// When the server does not answer.
pub fn general_log_table(server: &Server) -> Result<Vec<Session>> {
    let rows = server.sql(
        "mysql",
        "SELECT thread_id, command_type, hex(argument) FROM general_log",
    )?;
    let mut sessions = Sessions::default();
    for row in rows.lines() {
        let mut fields = row.split('\t');
        let (Some(id), Some(command), Some(argument)) =
            (fields.next(), fields.next(), fields.next())
        else {
            bail!("a row of the general log: {row}");
        };
        let argument = String::from_utf8_lossy(&unhex(argument)?).into_owned();
        sessions.take(id.parse()?, command, &argument);
    }
    Ok(sessions.list)
}

/// Reads the file of MariaDB's server_audit; `Entry::error` is the error number.
///
/// # Errors
/// When the file can't be read or a line is not what the plugin writes.
pub fn server_audit(file: &Path) -> Result<Vec<Session>> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let mut sessions = Sessions::default();
    for line in text.lines() {
        // time, server host, user, host, connection, query, operation, database, object, error number
        let mut fields = line.splitn(9, ',').skip(2);
        let mut next = || fields.next().with_context(|| line.to_owned());
        let (user, host, id) = (next()?, next()?, next()?.parse()?);
        let (_, operation, database, rest) = (next()?, next()?, next()?, next()?);
        if host != "127.0.0.1" || operation != "QUERY" {
            continue;
        }
        let (object, error) = rest.rsplit_once(',').with_context(|| line.to_owned())?;
        let object = object.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
        sessions.of(id).entries.push(Entry {
            kind: Kind::Simple,
            text: unescaped(object.with_context(|| line.to_owned())?),
            error: (error != "0").then(|| error.to_owned()),
            user: user.to_owned(),
            database: database.to_owned(),
            application: String::new(),
        });
    }
    Ok(sessions.list)
}

#[derive(Default)]
struct Sessions {
    list: Vec<Session>,
    numbers: BTreeMap<u32, usize>,
    /// User and database of each connection.
    known: BTreeMap<u32, (String, String)>,
}

impl Sessions {
    fn of(&mut self, id: u32) -> &mut Session {
        let list = &mut self.list;
        let number = *self.numbers.entry(id).or_insert_with(|| {
            list.push(Session {
                pid: id,
                entries: Vec::new(),
            });
            list.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "numbers are places in the list")]
        &mut list[number]
    }

    fn take(&mut self, id: u32, command: &str, argument: &str) {
        let kind = match command {
            "Connect" | "Change user" => {
                if let Some(found) = login(argument) {
                    self.known.insert(id, found);
                }
                if command == "Connect" {
                    return;
                }
                Kind::Command
            }
            "Query" => Kind::Simple,
            "Prepare" => Kind::Prepare,
            "Execute" => Kind::Execute,
            "Fetch" => Kind::Fetch,
            "Quit" | "Close stmt" | "Reset stmt" | "Long Data" | "Ping" => return,
            _ => Kind::Command,
        };
        // Sessions of the socket and of the server itself are nobody's.
        let Some((user, database)) = self.known.get(&id).cloned() else {
            return;
        };
        if command == "Init DB" {
            self.known.insert(id, (user.clone(), argument.to_owned()));
        }
        let text = match kind {
            Kind::Command => format!("{command} {argument}").trim_end().to_owned(),
            _ => argument.to_owned(),
        };
        if kind == Kind::Simple
            && let Some(name) = text.strip_prefix("USE ")
        {
            self.known.insert(id, (user.clone(), name.to_owned()));
        }
        self.of(id).entries.push(Entry {
            kind,
            text,
            error: None,
            user,
            database,
            application: String::new(),
        });
    }
}

/// `user@host on database using TCP/IP`.
fn login(argument: &str) -> Option<(String, String)> {
    let (who, rest) = argument.split_once(" on ")?;
    let (user, host) = who.rsplit_once('@')?;
    let (database, _) = rest.rsplit_once("using ")?;
    (host == "127.0.0.1").then(|| (user.to_owned(), database.trim().to_owned()))
}

/// The start of an entry: a time or none, a tab, the connection, the command, a tab, the argument.
fn head(line: &str) -> Option<(u32, &str, &str)> {
    let (time, rest) = line.split_once('\t')?;
    let rest = match time {
        // MariaDB leaves the time out within one second.
        "" => rest.strip_prefix('\t')?,
        _ => {
            let dated = time.len() == 27 && time.ends_with('Z') || time.len() == 15;
            if !dated || !time.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            rest
        }
    };
    let (id, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (command, argument) = rest.split_once('\t')?;
    COMMANDS
        .contains(&command)
        .then(|| Some((id.parse().ok()?, command, argument)))?
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
        .collect()
}

/// Undoes server_audit's escapes.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    plain
}

const COMMANDS: [&str; 19] = [
    "Quit",
    "Init DB",
    "Query",
    "Field List",
    "Create DB",
    "Drop DB",
    "Refresh",
    "Statistics",
    "Processlist",
    "Connect",
    "Kill",
    "Debug",
    "Ping",
    "Change user",
    "Prepare",
    "Execute",
    "Long Data",
    "Close stmt",
    "Fetch",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_both_products_are_told_from_text() {
        let mysql = "2026-11-25T08:08:51.247142Z\t   10 Query\tSELECT 5\n";
        assert_eq!(head(mysql), Some((10, "Query", "SELECT 5\n")));
        let mariadb = "261125  8:08:46\t     4 Query\tSELECT 'a\n";
        assert_eq!(head(mariadb), Some((4, "Query", "SELECT 'a\n")));
        assert_eq!(
            head("\t\t     4 Init DB\tapp\n"),
            Some((4, "Init DB", "app\n"))
        );
        assert_eq!(head("b'\n"), None);
        assert_eq!(head("\tSELECT\n"), None);
    }

    #[test]
    fn escapes_of_server_audit_are_undone() {
        assert_eq!(unescaped(r"SELECT \'a\nb\'"), "SELECT 'a\nb'");
        assert_eq!(unescaped(r#"\'x\\"y\'"#), r#"'x\"y'"#);
    }
}
